/** tpm2-tools look at our proofs. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { logDigests, qualifyingData } from '../../../daemon/attest/evidence/binding.ts';
import {
  algorithm,
  encode,
  extendPcr,
  publicBuffer,
  publicKeyOf,
} from '../../../daemon/attest/tpm2/index.ts';
import { isInstalled } from '../tpm2/live/swtpm.ts';
import { akOf, live, proveOnce } from './live-bench.ts';

const run = promisify(execFile);
/** tpm2_checkquote 5.4 takes bare values of a few registers only. */
const pcrs = [0, 7, 10];

if (!isInstalled('tpm2_checkquote'))
  t.test(
    'tpm2_checkquote',
    { skip: 'tpm2-tools are not installed (Debian: apt-get install tpm2-tools)' },
    async () => {},
  );
else
  live('tpm2_checkquote accepts our evidence, and only as it is', 'known', async (t, { prover, tpm }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-tools-'));
    const file = (name: string) => path.join(folder, name);
    try {
      await extendPcr(tpm, 10, [{ hash: algorithm.sha256, digest: Buffer.alloc(32, 1) }]);
      const { claims, challenge, bound, secret, evidence } = await proveOnce(prover, { pcrs });
      const ak = akOf(claims);
      await writeFile(file('key.pem'), publicKeyOf(ak).export({ type: 'spki', format: 'pem' }));
      await writeFile(file('key.tss'), encode(publicBuffer, ak));
      await writeFile(file('message'), evidence.attest);
      await writeFile(file('signature'), evidence.signature);
      await writeFile(
        file('pcrs'),
        Buffer.concat(pcrs.map((pcr) => evidence.pcrs.get(pcr) ?? Buffer.alloc(0))),
      );
      const { nonce } = challenge;
      const binding = { nonce, ...bound, secret, logs: logDigests(evidence.logs) };
      const check = (key: string, qualification: Uint8Array) => {
        const files = ['-u', file(key), '-m', file('message'), '-s', file('signature'), '-f', file('pcrs')];
        const asked = [
          '-l',
          `sha256:${pcrs}`,
          '-g',
          'sha256',
          '-q',
          Buffer.from(qualification).toString('hex'),
        ];
        return run('tpm2_checkquote', [...files, ...asked], { timeout: 30_000 });
      };
      await t.resolves(check('key.pem', qualifyingData(binding)), 'with the key as PEM');
      await t.resolves(check('key.tss', qualifyingData(binding)), 'with the key as TPM2B_PUBLIC');
      const other = { ...binding, channel: Buffer.alloc(32) };
      await t.rejects(check('key.pem', qualifyingData(other)), 'not for another connection');
      await writeFile(file('pcrs'), Buffer.alloc(96));
      await t.rejects(check('key.pem', qualifyingData(binding)), 'nor with other PCRs');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
