/** Something is measured while a proof is made. */
import { appendFile, writeFile } from 'node:fs/promises';
import type { Evidence } from '../../../daemon/attest/evidence/evidence.ts';
import { findImaPrefix, imaPrefixAtStart } from '../../../daemon/attest/logs/ima-prefix.ts';
import { algorithm, extendPcr, type Tpm } from '../../../daemon/attest/tpm2/index.ts';
import { binaryEntry, extension, measurements } from '../logs/samples.ts';
import { leftIn } from '../tpm2/live/live.ts';
import { type Bench, checkProof, code, live, proveOnce, roundFor, signal } from './live-bench.ts';

const extend = (tpm: Tpm, pcr: number): Promise<void> =>
  extendPcr(tpm, pcr, [{ hash: algorithm.sha256, digest: Buffer.alloc(32, 0x5a) }]);

/** Does something before the first commands with this code, so many times. */
function beforeFirst({ bus }: Bench, asked: number, times: number, act: () => Promise<void>): void {
  let left = times;
  bus.before = async (given) => {
    if (given === asked && left-- > 0) await act();
    return null;
  };
}

live('a PCR is extended between reading and quoting', 'new', async (t, bench) => {
  beforeFirst(bench, code.quote, 2, () => extend(bench.tpm, 9));
  const proof = await proveOnce(bench.prover);
  checkProof(t, proof);
  t.equal(bench.bus.count(code.quote), 3, 'repeated until nothing moved');
  t.notSame(proof.evidence.pcrs.get(9), Buffer.alloc(32));
});

live('a PCR that nobody asked for does not count', 'new', async (t, bench) => {
  beforeFirst(bench, code.quote, 1, () => extend(bench.tpm, 15));
  checkProof(t, await proveOnce(bench.prover));
  t.equal(bench.bus.count(code.quote), 1);
});

live('something that never stops measuring', 'new', async (t, bench) => {
  beforeFirst(bench, code.quote, Number.POSITIVE_INFINITY, () => extend(bench.tpm, 9));
  const { challenge, bound } = roundFor(await bench.prover.claims(signal));
  await t.rejects(bench.prover.prove(challenge, bound, signal), {
    code: 'E_TPM',
    message: /changed during each of 6 attempts/,
  });
  t.equal(bench.bus.count(code.quote), 6);
  t.same(await leftIn(bench.tpm), []);

  const controller = new AbortController();
  const reason = new Error('enough');
  beforeFirst(bench, code.quote, Number.POSITIVE_INFINITY, async () => {
    await extend(bench.tpm, 9);
    setImmediate(() => controller.abort(reason));
  });
  await t.rejects(bench.prover.prove(challenge, bound, controller.signal), reason, 'given up in a pause');
});

/** What IMA does with a file: the list first, then the PCR. */
const measure = async ({ paths, tpm }: Bench, index: number): Promise<void> => {
  const entry = measurements[index];
  if (entry === undefined) throw new Error('there are more');
  await appendFile(paths.ima, binaryEntry(entry));
  await extendPcr(tpm, 10, [{ hash: algorithm.sha256, digest: extension(entry, 'sha256') }]);
};

const imaVerdict = ({ logs, pcrs }: Evidence) =>
  findImaPrefix({
    bytes: logs.ima?.bytes ?? Buffer.alloc(0),
    form: 'binary',
    pcr: 10,
    bank: 'sha256',
    rule: 'own-hash',
    from: imaPrefixAtStart('sha256'),
    quoted: pcrs.get(10) ?? Buffer.alloc(0),
  });

live('the IMA list that is sent is never behind the quote', 'new', async (t, bench) => {
  await measure(bench, 0);
  for (const [asked, index] of [
    [code.pcrRead, 1],
    [code.quote, 2],
  ] as const) {
    beforeFirst(bench, asked, 1, () => measure(bench, index));
    const proof = await proveOnce(bench.prover);
    checkProof(t, proof);
    const { verdict, prefix } = imaVerdict(proof.evidence);
    t.equal(verdict, 'anchored');
    t.equal(prefix.position.records, index + 1, 'with the entry that came in between');
  }
  // The entry stands in the list when it is read, and the PCR is extended after the quote.
  const entry = measurements[3];
  if (entry === undefined) throw new Error('there are more');
  beforeFirst(bench, code.pcrRead, 1, () => appendFile(bench.paths.ima, binaryEntry(entry)));
  const proof = await proveOnce(bench.prover);
  checkProof(t, proof);
  t.match(imaVerdict(proof.evidence), { verdict: 'anchored', prefix: { position: { records: 3 } } });
});

live('a log of userspace that is written to meanwhile', 'new', async (t, bench) => {
  const { paths, bus } = bench;
  for (const [name, first] of Object.entries({ measured: '\x1e{"n":1}\n', systemd: null })) {
    const file = paths[name as 'measured' | 'systemd'];
    if (first !== null) await writeFile(file, first);
    beforeFirst(bench, code.quote, 1, () => appendFile(file, '\x1e{"n":2}\n'));
    const before = bus.count(code.quote);
    const proof = await proveOnce(bench.prover);
    checkProof(t, proof);
    t.equal(bus.count(code.quote) - before, 2, `${name}: repeated, as its PCR may be extended just now`);
    const sent = Buffer.from(proof.evidence.logs[name as 'measured']?.bytes ?? []).toString();
    t.equal(sent, `${first ?? ''}\x1e{"n":2}\n`);
  }
  beforeFirst(bench, code.quote, 1, () => appendFile(paths.measured, '\x1e{"n"'));
  const before = bus.count(code.quote);
  checkProof(t, await proveOnce(bench.prover));
  t.equal(bus.count(code.quote) - before, 1, 'a line that is not whole is not there yet');
});
