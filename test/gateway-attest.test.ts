import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createKey, exchange } from '../daemon/attest/enrol/exchange.ts';
import { pairingCode } from '../daemon/attest/evidence/pairing.ts';
import { openProver } from '../daemon/attest/evidence/tpm-prover.ts';
import { parseCase } from '../daemon/attest/policy/evidence-file.ts';
import { algorithm, extendPcr, swtpm, Tpm } from '../daemon/attest/tpm2/index.ts';
import type { Credentials } from '../daemon/attest/types.ts';
import { ackTopic, ctlTopic, upTopic } from '../daemon/bridge/wire/topics.ts';
import { systemClock } from '../daemon/clock.ts';
import { approveIn, approveSurface } from '../daemon/commands/approve.ts';
import { listSurfaces, revokeSurface, showEvidence, showSurface } from '../daemon/commands/surfaces.ts';
import { loadConfig } from '../daemon/config/load.ts';
import { type Gateway, startGateway } from '../daemon/gateway.ts';
import { silentLog } from '../daemon/log.ts';
import { beginSoftwareTpm, SoftwareTpm, withoutSwtpm } from './attest/tpm2/live/swtpm.ts';
import { RawClient } from './bridge/broker/raw-client.ts';
import { nobodysKubeconfig as kubeconfig } from './nobodys-cluster.ts';

const head = 'apiVersion: surfaced.dev/v1alpha1\n';
/** A reference set in which PCR 9 has one value. */
const references = (version: number, pcr9: string) => `${head}kind: ReferenceSet
metadata: { name: pi, version: ${version} }
spec: { pcrs: [{ pcr: 9, values: ['${pcr9}'] }] }
`;
const afterReset = '0'.repeat(64);
const measured = Buffer.alloc(32, 7);
const afterMeasuring = createHash('sha256').update(Buffer.alloc(32)).update(measured).digest('hex');
const vendor = new URL('attest/tpm2/live/state/', import.meta.url);

interface Site {
  readonly folder: string;
  readonly gatewayConfigPath: string;
  start(): Promise<Gateway>;
}

async function newSite(t: Test, policy = ''): Promise<Site> {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-gateway-attest-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['surfaces', 'references']) await mkdir(path.join(folder, name));
  await writeFile(path.join(folder, 'kubeconfig'), kubeconfig);
  await writeFile(path.join(folder, 'references', 'pi.yaml'), references(1, afterReset));
  const gatewayConfigPath = path.join(folder, 'gateway.yaml');
  await writeFile(
    gatewayConfigPath,
    `${head}kind: Gateway
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: { folder: surfaces }
policy: { references: references, acceptUnsigned: true${policy} }
cluster: { kubeconfig: kubeconfig }
`,
  );
  const start = async () => {
    const config = await loadConfig('Gateway', gatewayConfigPath);
    const gateway = await startGateway({ config, clock: systemClock, random: Math.random, log: silentLog });
    t.teardown(() => gateway.stop());
    return gateway;
  };
  return { folder, gatewayConfigPath, start };
}

/** A surface's end: a software TPM, and what it takes to enrol and to connect. */
async function newSurface(t: Test, chip: SoftwareTpm) {
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  const none = path.join(tmpdir(), 'surfaced-there-is-no-such-log');
  const prover = openProver({
    tpm,
    logs: { firmware: none, ima: none, measured: none, systemd: none },
    log: silentLog,
    random: Math.random,
  });
  t.teardown(async () => {
    await prover.close();
    await chip.end();
  });
  return {
    tpm,
    prover,
    attest: async (gateway: Gateway, current: Credentials | null = null): Promise<Credentials> => {
      const issued = await exchange({
        address: { host: '127.0.0.1', port: gateway.enrolPort },
        pin: gateway.caPin,
        key: await createKey(),
        proof: { kind: 'tpm', prover, firmware: '1.2.3', current },
        clock: systemClock,
        signal: new AbortController().signal,
      });
      return issued.credentials;
    },
  };
}

function connect(t: Test, gateway: Gateway, credentials: Credentials): RawClient {
  const { caPem, certificatePem, privateKeyPem: keyPem } = credentials;
  const client = new RawClient(gateway.brokerPort, caPem, { certificatePem, keyPem });
  t.teardown(() => client.end());
  return client;
}
const clientId = 'desk';

/** Awaits that the connection ends, and says when. */
async function ends(t: Test, client: RawClient, after: () => Promise<unknown>, what: string): Promise<void> {
  await after();
  const since = performance.now();
  await client.closed;
  t.pass(`${what}: closed`);
  t.comment(`${what}: closed after ${Math.round(performance.now() - since)} ms`);
}

/** The state of a surface, once it is this one. */
async function becomes(gateway: Gateway, state: string): Promise<void> {
  const isThere = () => gateway.trust.of('desk')?.state === state;
  if (isThere()) return;
  await new Promise<void>((resolve) => gateway.trust.onChange(() => isThere() && resolve()));
}

/** Another process sees what the gateway knows a moment later. */
async function until<T>(look: () => Promise<T>, fits: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look();
    if (fits(value)) return value;
    await pause(50);
  }
}

async function audited(folder: string): Promise<string> {
  const files = (await readdir(path.join(folder, 'state', 'audit'))).sort();
  const texts = files.map((file) => readFile(path.join(folder, 'state', 'audit', file), 'utf8'));
  return (await Promise.all(texts)).join('');
}

t.test('a TPM from quarantine to a session, and out again', { skip: withoutSwtpm }, async (t) => {
  const { folder, gatewayConfigPath, start } = await newSite(t);
  const gateway = await start();
  const surface = await newSurface(t, await beginSoftwareTpm());
  let salt: Uint8Array | null = null;
  await t.rejects(
    surface.attest(gateway).catch((error: { salt?: Uint8Array }) => {
      salt = error.salt ?? null;
      throw error;
    }),
    { code: 'E_ENROL_QUARANTINE' },
  );
  const ekSha256 = surface.prover.ekSha256!;
  const code = pairingCode(salt!, ekSha256, gateway.caPin);
  t.match(
    gateway.trust.quarantine(),
    [{ pairingCode: code, ekSha256, firmware: '1.2.3' }],
    'one code on both ends',
  );
  t.match(gateway.health().parts.trust, { ok: true, detail: '1 waiting for approval' });

  const list = () => listSurfaces({ gatewayConfigPath, output: 'text' });
  t.match(await until(list, (text) => text.includes(code)), / not trusted: /);
  const approval = { level: null, policy: null, isReplacing: false, output: 'text' } as const;
  await approveSurface({ ...approval, gatewayConfigPath, name: 'desk', which: { code } });
  await becomes(gateway, 'pending');
  t.same(gateway.trust.quarantine(), []);

  const first = await surface.attest(gateway);
  t.match(first, { surface: 'desk', trust: 'tpm', level: 0 });
  t.ok(gateway.trust.isTrusted('desk'));
  const renewed = await surface.attest(gateway, first);
  t.not(renewed.certificatePem, first.certificatePem);
  const client = connect(t, gateway, renewed);
  t.equal(await client.connect({ clientId }), 0);
  t.match(await until(list, (text) => /desk +trusted/.test(text)), new RegExp(ekSha256.slice(0, 12)));
  const shown = await showSurface({ gatewayConfigPath, name: 'desk', output: 'text' });
  t.match(shown, /^# state: trusted/);
  t.match(shown, /^# level 0: This TPM answered a fresh challenge/m);
  t.match(shown, /^# {3}passed {3}signature /m);
  const evidence = parseCase(await showEvidence(gatewayConfigPath, 'desk'), 'evidence');
  t.same(
    Buffer.from(evidence.claims.ekPublic),
    Buffer.from((await surface.prover.claims(new AbortController().signal)).ekPublic),
  );

  // A command that is refused has an end, and the end is on record.
  await client.subscribe(ackTopic('site', 'desk'));
  const command = { v: 1, id: 'session-01-1', slot: 5, want: 2, saw: 1, issuedAt: Date.now(), ttlMs: 2000 };
  client.publish(upTopic('site', 'desk', 'cmd'), JSON.stringify(command));
  await client.next((packet) => packet.cmd === 'publish' && String(packet.payload).includes('UnknownSlot'));

  const revoke = (isRevoked: boolean) =>
    revokeSurface({ gatewayConfigPath, name: 'desk', isRevoked, output: 'text' });
  await ends(t, client, () => revoke(true), 'revoked');
  t.equal(await connect(t, gateway, renewed).connect({ clientId }), 5, 'nor does a new one begin');
  await t.rejects(surface.attest(gateway), { code: 'E_SURFACE_REVOKED' });
  await revoke(false);
  await becomes(gateway, 'pending');
  t.equal(
    await connect(t, gateway, renewed).connect({ clientId }),
    5,
    'not before it has proved itself anew',
  );
  const again = await surface.attest(gateway, renewed);
  t.equal(await connect(t, gateway, again).connect({ clientId }), 0);

  await gateway.stop();
  const log = await audited(folder);
  for (const said of ['"started"', '"verdict"', '"certificate"', '"trust"', 'session-01-1', '"stopped"'])
    t.ok(log.includes(said), `${said} is on record`);
});

t.test('evidence that is not good enough any more ends the session', { skip: withoutSwtpm }, async (t) => {
  const { folder, start } = await newSite(t);
  const gateway = await start();
  const surface = await newSurface(t, await beginSoftwareTpm());
  await t.rejects(surface.attest(gateway), { code: 'E_ENROL_QUARANTINE' });
  const ekSha256 = surface.prover.ekSha256!;
  const approval = { name: 'desk', ekSha256, level: 1, policy: 'pi', isReplacing: false } as const;
  await approveIn(gateway.registryFolder, approval);
  await becomes(gateway, 'pending');
  const first = await surface.attest(gateway);
  const client = connect(t, gateway, first);
  t.equal(await client.connect({ clientId }), 0);

  const measure = () => extendPcr(surface.tpm, 9, [{ hash: algorithm.sha256, digest: measured }]);
  await measure();
  const fails = () =>
    t.rejects(surface.attest(gateway, first), { code: 'E_ENROL_EVIDENCE', message: /reference/ });
  await ends(t, client, fails, 'other measurements');
  t.match(gateway.trust.of('desk'), { state: 'failed', level: null });
  t.equal(await connect(t, gateway, first).connect({ clientId }), 5);

  // The operator has the last word, about evidence that is there already, too.
  const update = path.join(folder, 'references', 'pi-2.yaml');
  await writeFile(update, references(2, afterMeasuring));
  await becomes(gateway, 'trusted');
  t.match(gateway.trust.of('desk'), { level: 1, reference: { name: 'pi', version: 2 } });
  const updated = connect(t, gateway, first);
  t.equal(await updated.connect({ clientId }), 0, 'good again, without new evidence');
  await ends(t, updated, () => rm(update), 'reference values withdrawn');

  const { files } = await approveIn(gateway.registryFolder, approval);
  t.same(files, [path.join(folder, 'surfaces', 'desk.yaml')]);
  await writeFile(files[0]!, (await readFile(files[0]!, 'utf8')).replace(/^ *policy: .*\n/m, ''));
  await becomes(gateway, 'trusted');
  const ofOldTpm = await surface.attest(gateway);
  const second = connect(t, gateway, ofOldTpm);
  t.equal(await second.connect({ clientId }), 0);

  const other = await newSurface(t, await SoftwareTpm.begin({ state: null }));
  await t.rejects(other.attest(gateway), { code: 'E_ENROL_QUARANTINE' });
  const swapped = { ...approval, level: null, policy: null, ekSha256: other.prover.ekSha256! };
  await t.rejects(approveIn(gateway.registryFolder, swapped), { code: 'E_USAGE' });
  const swap = () => approveIn(gateway.registryFolder, { ...swapped, isReplacing: true });
  await ends(t, second, swap, 'another TPM in its place');
  await t.rejects(
    surface.attest(gateway),
    { code: 'E_ENROL_QUARANTINE' },
    'the old one has no name any more',
  );
  const ofNewTpm = await other.attest(gateway);
  t.match(ofNewTpm, { surface: 'desk', trust: 'tpm' });
  t.equal(
    await connect(t, gateway, ofOldTpm).connect({ clientId }),
    5,
    'its certificate holds, and opens nothing',
  );
  t.equal(await connect(t, gateway, ofNewTpm).connect({ clientId }), 0);
});

t.test('a surface whose level is another now is asked to renew', { skip: withoutSwtpm }, async (t) => {
  const { folder, start } = await newSite(t);
  await writeFile(path.join(folder, 'references', 'pi.yaml'), references(1, afterMeasuring));
  const gateway = await start();
  const surface = await newSurface(t, await beginSoftwareTpm());
  await extendPcr(surface.tpm, 9, [{ hash: algorithm.sha256, digest: measured }]);
  await t.rejects(surface.attest(gateway), { code: 'E_ENROL_QUARANTINE' });
  const ekSha256 = surface.prover.ekSha256!;
  const approval = { name: 'desk', ekSha256, level: 1, policy: 'pi', isReplacing: false } as const;
  const { files } = await approveIn(gateway.registryFolder, approval);
  await becomes(gateway, 'pending');
  const first = await surface.attest(gateway);
  t.match(first, { level: 1 });
  const client = connect(t, gateway, first);
  t.equal(await client.connect({ clientId }), 0);
  await client.subscribe(ctlTopic('site', 'desk'));
  const renewal = client.next(
    (packet) => packet.cmd === 'publish' && String(packet.payload).includes('renew'),
  );
  await writeFile(files[0]!, (await readFile(files[0]!, 'utf8')).replace(/^ *policy: .*\n/m, ''));
  const asked = await renewal;
  t.match(JSON.parse(String(asked?.cmd === 'publish' && asked.payload)), {
    v: 1,
    type: 'renew',
    reason: 'its level is 0 now, and that of its certificate 1',
  });
  t.ok(gateway.trust.isTrusted('desk'));
  t.match(await surface.attest(gateway, first), { level: 0 });
  t.equal(await connect(t, gateway, first).connect({ clientId }), 0, 'the session goes on meanwhile');
});

t.test(
  'a gateway that dies is trusted by its surfaces, and trusts them, when it is back',
  { skip: withoutSwtpm },
  async (t) => {
    const { start } = await newSite(t);
    const before = await start();
    const surface = await newSurface(t, await beginSoftwareTpm());
    await t.rejects(surface.attest(before), { code: 'E_ENROL_QUARANTINE' });
    const code = before.trust.quarantine()[0]?.pairingCode;
    await before.stop();
    const between = await start();
    t.match(between.trust.quarantine(), [{ pairingCode: code }], 'the panel need not show another code');
    const ekSha256 = surface.prover.ekSha256!;
    await approveIn(between.registryFolder, {
      name: 'desk',
      ekSha256,
      level: null,
      policy: null,
      isReplacing: false,
    });
    await becomes(between, 'pending');
    const credentials = await surface.attest(between);
    await between.stop();
    const after = await start();
    t.ok(after.trust.isTrusted('desk'), 'its evidence is kept and was judged anew');
    t.equal(await connect(t, after, credentials).connect({ clientId }), 0);
  },
);

t.test(
  'where a certificate is asked for, only those of the roots come in',
  { skip: withoutSwtpm },
  async (t) => {
    const { folder, start } = await newSite(t, ', ekCertificate: required, roots: roots');
    await mkdir(path.join(folder, 'roots'));
    for (const name of ['swtpm-localca-rootca-cert.pem', 'issuercert.pem'])
      await copyFile(new URL(name, vendor), path.join(folder, 'roots', name));
    const gateway = await start();
    t.match(gateway.health().parts.policy, { ok: true, detail: '1 reference sets, 2 roots' });
    const surface = await newSurface(t, await beginSoftwareTpm());
    await t.rejects(surface.attest(gateway), { code: 'E_ENROL_QUARANTINE' });
    t.match(gateway.trust.quarantine(), [{ hasTrustedCertificate: true }]);
    const bare = await newSurface(t, await SoftwareTpm.begin({ state: null }));
    await t.rejects(bare.attest(gateway), { code: 'E_ENROL_EVIDENCE', message: /ek-certificate/ });
  },
);

t.test('roots and reference sets that cannot be used are told, and stop nothing', async (t) => {
  const { folder, start } = await newSite(t, ', roots: roots');
  await mkdir(path.join(folder, 'roots'));
  await writeFile(path.join(folder, 'roots', 'vendor.pem'), 'nonsense');
  const gateway = await start();
  t.match(gateway.health().parts, {
    policy: { ok: false, detail: /vendor\.pem: / },
    audit: { ok: true },
    trust: { ok: true, detail: 'no surface with a TPM' },
  });
});
