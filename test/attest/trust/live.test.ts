/** A software TPM, the real prover, verifier, reference sets and audit log: from quarantine on, through power cuts. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Test } from 'tap';
import { openAttestation } from '../../../daemon/attest/attestation.ts';
import { verifyAudit } from '../../../daemon/attest/audit/verify.ts';
import { fileMeasurement } from '../../../daemon/attest/logs/measure-log.ts';
import { algorithm, extendPcr } from '../../../daemon/attest/tpm2/index.ts';
import type { Attesting } from '../../../daemon/attest/trust/types.ts';
import { createMemoryRegistry } from '../../../daemon/bridge/registry/memory.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { apiVersion } from '../../../daemon/config/schema.ts';
import { silentLog } from '../../../daemon/log.ts';
import { type Bench, live, signal, writeLog } from '../evidence/live-bench.ts';
import { bytesOf } from '../verifier/world.ts';
import { bound } from './machine.ts';
import { caPin, codeOf, newFolder, surfaceOf } from './rig.ts';

/** A gateway whose only reference set knows `/opt/good`, and the maker of the software TPM. */
async function gateway(t: Test) {
  const stateDir = newFolder(t);
  const [references, roots] = [path.join(stateDir, 'references'), path.join(stateDir, 'roots')];
  for (const folder of [references, roots]) await mkdir(folder);
  const state = new URL('../tpm2/live/state/', import.meta.url);
  for (const name of ['issuercert.pem', 'swtpm-localca-rootca-cert.pem'])
    await copyFile(new URL(name, state), path.join(roots, name));
  await writeFile(
    path.join(references, 'baseline.yaml'),
    JSON.stringify({
      apiVersion,
      kind: 'ReferenceSet',
      metadata: { name: 'baseline', version: 1 },
      spec: { files: [{ path: '/opt/good', sha256: [bytesOf('good').toString('hex')] }] },
    }),
  );
  const policy = { roots, references, acceptUnsigned: true, ekCertificate: 'required' };
  const file = { apiVersion, kind: 'Gateway', stateDir, registry: { folder: stateDir }, policy };
  const config = parseConfig('Gateway', JSON.stringify(file), 'test');
  const registry = createMemoryRegistry([]);
  const open = () =>
    openAttestation({ config, registry, caPin, onRecord: null, clock: systemClock, log: silentLog });
  return { stateDir, registry, open };
}

/** Measures a file into the TPM and the log. */
async function measure(bench: Bench, measured: Buffer[], content: string): Promise<void> {
  const record = {
    path: '/opt/good',
    sha256: bytesOf(content),
    pcr: 14,
    banks: ['sha256'],
    recnum: measured.length,
  } as const;
  const { digests, bytes } = fileMeasurement(record);
  await extendPcr(bench.tpm, 14, [
    { hash: algorithm.sha256, digest: digests.get('sha256') ?? Buffer.alloc(0) },
  ]);
  measured.push(bytes);
  await writeLog(bench, 'measured', Buffer.concat(measured));
}

async function attest({ prover }: Bench, attesting: Attesting, isRenewal: boolean) {
  const claims = await prover.claims(signal);
  const begun = await attesting.begin({ claims, firmware: '1.0.0', address: '127.0.0.1', isRenewal });
  if (begun.kind === 'quarantined') return begun;
  const evidence = await prover.prove(begun.challenge, bound, signal);
  const attested = await attesting.finish(begun, { evidence, ...bound });
  return { ...attested, hasCredential: begun.challenge.credential !== null };
}

live('enrolment, renewal, power cuts, restarts', 'known', async (t, bench) => {
  const { stateDir, registry, open } = await gateway(t);
  let { attesting, close } = await open();
  t.teardown(() => close());
  const measured: Buffer[] = [];
  await measure(bench, measured, 'good');
  const stranger = await attest(bench, attesting, false);
  t.match(stranger, { kind: 'quarantined' });
  t.match(attesting.quarantine(), [{ hasTrustedCertificate: true, certificate: /^leads to / }]);
  registry.set([surfaceOf('desk', { ekSha256: bench.prover.ekSha256 ?? '' })]);

  t.match(await attest(bench, attesting, false), { surface: 'desk', level: 1, hasCredential: true });
  t.match(attesting.of('desk'), { state: 'trusted', hasTrustedCertificate: true, reference: { version: 1 } });
  await measure(bench, measured, 'good');
  t.match(await attest(bench, attesting, true), { level: 1, hasCredential: false });
  t.match(await attesting.verdictOf('desk'), { epoch: 'same', measured: { files: 2 } });

  for (let cut = 1; cut <= 4; cut++) {
    await bench.chip.cutPower();
    await bench.chip.start();
    measured.length = 0;
    await measure(bench, measured, 'good');
    t.match(await codeOf(attest(bench, attesting, true)), /^E_ENROL_EPOCH /, `power cut ${cut}`);
    t.match(await attest(bench, attesting, true), { level: 1, hasCredential: true });
    t.match(await attest(bench, attesting, true), { level: 1, hasCredential: false });
  }

  await close();
  ({ attesting, close } = await open());
  t.match(attesting.of('desk'), { state: 'trusted', level: 1 }, 'after a restart of the gateway');
  t.match(await attest(bench, attesting, true), { hasCredential: false });

  await measure(bench, measured, 'evil');
  t.match(await codeOf(attest(bench, attesting, true)), /^E_ENROL_EVIDENCE reference: /);
  t.equal(attesting.isTrusted('desk'), false);
  await close();
  const report = await verifyAudit({
    path: path.join(stateDir, 'audit'),
    startHash: null,
    publishedHash: null,
    signer: null,
  });
  t.equal(report.isSound, true, 'the audit log agrees with every quote');
  t.match(report, { kinds: { verdict: 13 } });
});

live('a TPM without a certificate, where one is demanded', 'new', async (t, bench) => {
  const { registry, open } = await gateway(t);
  const { attesting, close } = await open();
  t.teardown(() => close());
  registry.set([surfaceOf('desk', { ekSha256: 'ab'.repeat(32) })]);
  t.match(await codeOf(attest(bench, attesting, false)), /^E_ENROL_EVIDENCE ek-certificate: /, 'it has none');
  t.match(attesting.of('desk'), { state: 'pending' });
});
