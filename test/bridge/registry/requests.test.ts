import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import type { Quarantined } from '../../../daemon/attest/trust/types.ts';
import { stepOf } from '../../../daemon/bridge/registry/cluster/decide.ts';
import { factsOf, requestName, requestOf } from '../../../daemon/bridge/registry/cluster/request-objects.ts';
import { requestLimits, serveRequests } from '../../../daemon/bridge/registry/cluster/requests.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { approveSurface } from '../../../daemon/commands/approve.ts';
import { listSurfaces, revokeSurface, showSurface } from '../../../daemon/commands/surfaces.ts';
import { silentLog } from '../../../daemon/log.ts';
import type { Json } from '../../hil/cluster/support.ts';
import {
  connected,
  registry,
  requests,
  type Site,
  site,
  surface,
  surfaces,
  until,
  withoutKubectl,
} from './rig.ts';

const keyOf = (seed: string): string => createHash('sha256').update(seed).digest('hex');
const waiting = (seed: string, change: Partial<Quarantined> = {}): Quarantined => ({
  ekSha256: keyOf(seed),
  pairingCode: '4821-9037',
  firstSeenAt: Date.UTC(2026, 0, 1),
  lastSeenAt: Date.UTC(2026, 0, 1),
  address: '192.0.2.1',
  firmware: '1.2.3',
  hasTrustedCertificate: false,
  certificate: 'the TPM has none',
  ...change,
});
const nameOf = (seed: string): string => requestName(keyOf(seed));

t.test('what a decision leads to', async (t) => {
  const one = waiting('one');
  const step = (spec: Json, status: Json = { ...factsOf(one) }) =>
    stepOf(one, requestOf({ metadata: { name: 'r', generation: 2 }, spec, status }));
  t.equal(step({}).kind, 'wait');
  t.equal(step({ decision: 'Deny' }).kind, 'deny');
  t.match(step({ decision: 'Approve', surface: 'desk', level: 1, policy: 'pi', replace: true }), {
    kind: 'approve',
    approval: { surface: 'desk', ekSha256: one.ekSha256, level: 1, policy: 'pi', isReplacing: true },
  });
  t.match(step({ decision: 'Approve' }), {
    kind: 'refuse',
    reason: 'Invalid',
    message: /spec\.surface: must name/,
  });
  t.match(step({ decision: 'Approve', surface: 'De sk' }), { kind: 'refuse', reason: 'Invalid' });
  t.match(step({ decision: 'Maybe' }), { kind: 'refuse', message: /spec\.decision: expected one of/ });
  const decided = { decision: 'Approve', surface: 'desk' };
  for (const code of ['4821-9037', '48219037'])
    t.equal(step({ ...decided, pairingCode: code }).kind, 'approve', code);
  t.match(step({ ...decided, pairingCode: '0000-0000' }), { kind: 'refuse', reason: 'CodeDiffers' });
  const truth = factsOf(one);
  t.equal(step(decided, { ...truth, pairingCode: '0000-0000' }).kind, 'forged');
  t.equal(step(decided, { ...truth, ekSha256: keyOf('two') }).kind, 'forged');
  t.equal(step(decided, {}).kind, 'forged', 'nobody can have compared what was not there');
  t.equal(step({}, { ...truth, ekSha256: keyOf('two') }).kind, 'wait', 'nothing was decided on it');
});

/** Requests as a gateway serves them whose quarantine a test fills. */
async function serve(t: Test, bed: Site, seeds: Quarantined[]) {
  const connection = await connected(t, bed);
  const opened = await registry(t, connection, bed.folder);
  const owners = () =>
    new Map(
      opened
        .list()
        .flatMap(({ metadata, spec }): [string, string][] =>
          spec.tpm ? [[metadata.name, spec.tpm.ekSha256]] : [],
        ),
    );
  let quarantine = seeds;
  const served = serveRequests({
    access: connection.access,
    namespace: 'surfaced',
    gateway: 'gateway',
    // Whoever has a name waits no more.
    quarantine: () => quarantine.filter(({ ekSha256 }) => ![...owners().values()].includes(ekSha256)),
    owners,
    isSynced: () => true,
    clock: systemClock,
    log: silentLog,
  });
  t.teardown(() => served.close());
  opened.onChange(() => served.look());
  return {
    served,
    opened,
    become: (next: Quarantined[]) => {
      quarantine = next;
      served.look();
    },
  };
}
const list = async ({ client }: Site): Promise<{ metadata: { name: string }; status?: Json; spec: Json }[]> =>
  (await client.get(requests)).body.items as never;
const conditionOf = async ({ client }: Site, seed: string): Promise<string> => {
  const { body } = await client.get(`${requests}/${nameOf(seed)}`);
  const { conditions = [] } = (body.status ?? {}) as { conditions?: { type: string; reason: string }[] };
  return conditions.map(({ type, reason }) => `${type} ${reason}`).join();
};

t.test('kubectl approves and denies', { skip: withoutKubectl }, async (t) => {
  const bed = await site(t);
  const { become } = await serve(t, bed, [waiting('one'), waiting('two', { pairingCode: '1111-2222' })]);
  await until(async () => (await list(bed)).every(({ status }) => status?.pairingCode !== undefined));
  await until(async () => (await list(bed)).length === 2);
  t.match(await bed.kubectl('get', 'sreq'), /^NAME +CODE +CERTIFICATE +ADDRESS +DECISION/);
  t.match(
    await bed.kubectl('get', 'sreq'),
    new RegExp(`${nameOf('one')} +4821-9037 +false +192\\.0\\.2\\.1`),
  );

  const decide = (seed: string, spec: Json) =>
    bed.kubectl('patch', 'sreq', nameOf(seed), '--type', 'merge', '-p', JSON.stringify({ spec }));
  await decide('one', { decision: 'Approve', surface: 'desk' });
  await bed.kubectl('wait', '--for=condition=Approved', `sreq/${nameOf('one')}`, '--timeout=60s');
  const made = await bed.client.get(`${surfaces}/desk`);
  t.match(made.body, {
    spec: { tpm: { ekSha256: keyOf('one'), assertedLevel: 0 }, bindings: [], isRevoked: false },
  });

  await decide('two', { decision: 'Approve', surface: 'desk' });
  await until(async () => (await conditionOf(bed, 'two')) === 'Refused OtherKey');
  t.match((await bed.client.get(`${surfaces}/desk`)).body, { spec: { tpm: { ekSha256: keyOf('one') } } });
  await decide('two', { replace: true });
  await until(async () => (await conditionOf(bed, 'two')) === 'Approved Decided');
  t.match((await bed.client.get(`${surfaces}/desk`)).body, { spec: { tpm: { ekSha256: keyOf('two') } } });
  t.ok((await list(bed)).length > 0, 'what was approved can be looked at for a while');

  become([waiting('two'), waiting('three'), waiting('four')]);
  await until(async () => (await list(bed)).some(({ metadata }) => metadata.name === nameOf('four')));
  await decide('three', { decision: 'Deny' });
  await until(async () => (await conditionOf(bed, 'three')) === 'Denied Decided');
  become([]);
  await until(async () => !(await list(bed)).some(({ metadata }) => metadata.name === nameOf('three')));
});

t.test('what was tampered with is not acted on', async (t) => {
  const bed = await site(t);
  const first = await serve(t, bed, [waiting('one')]);
  const request = `${requests}/${nameOf('one')}`;
  const read = async () =>
    (await bed.client.get(request)).body as unknown as { readonly spec: Json; readonly status?: Json };
  await until(async () => (await read()).status?.pairingCode === '4821-9037');
  await first.served.close();
  // Both while nobody looks, as one who may write everything can.
  await bed.client.merge(`${request}/status`, { status: { pairingCode: '9999-9999' } });
  await bed.client.merge(request, { spec: { decision: 'Approve', surface: 'desk' } });
  const { opened } = await serve(t, bed, [waiting('one')]);
  await until(async () => (await conditionOf(bed, 'one')) === 'Refused Forged');
  t.match(await read(), { spec: { decision: undefined }, status: { pairingCode: '4821-9037' } });
  t.equal(opened.get('desk'), null);
  t.equal((await bed.client.get(`${surfaces}/desk`)).status, 404);
  await bed.client.merge(request, { spec: { decision: 'Approve' } });
  await until(() => opened.get('desk') !== null);
  t.equal(opened.get('desk')?.spec.tpm?.ekSha256, keyOf('one'), 'decided anew, it counts');
});

t.test('one key is one name; their number is bounded', async (t) => {
  const bed = await site(t);
  await bed.client.post(surfaces, surface('lab', { tpm: { ekSha256: keyOf('one') } }));
  const connection = await connected(t, bed);
  const crowd = Array.from({ length: 300 }, (_, index) => waiting(`crowd ${index}`));
  const vendor = waiting('vendor', { hasTrustedCertificate: true });
  const served = serveRequests({
    access: connection.access,
    namespace: 'surfaced',
    gateway: 'gateway',
    quarantine: () => [waiting('one'), ...crowd, vendor],
    owners: () => new Map([['lab', keyOf('one')]]),
    isSynced: () => true,
    // Time flies, so that the budget of writes does not hold the test up.
    clock: { now: Date.now, monotonic: () => performance.now() * 1000 },
    log: silentLog,
  });
  t.teardown(() => served.close());
  await until(async () => {
    served.look();
    await served.idle();
    return (await list(bed)).length >= requestLimits.most;
  });
  served.look();
  await served.idle();
  const all = await list(bed);
  t.equal(all.length, requestLimits.most);
  t.equal(all[0] !== undefined && all.some(({ metadata }) => metadata.name === nameOf('vendor')), true);
  await bed.client.merge(`${requests}/${nameOf('one')}`, { spec: { decision: 'Approve', surface: 'desk' } });
  await until(async () => (await conditionOf(bed, 'one')) === 'Refused KeyTaken');
  t.equal((await bed.client.get(`${surfaces}/desk`)).status, 404);
});

t.test('the commands work on a registry in the cluster', async (t) => {
  const bed = await site(t);
  await bed.client.post(surfaces, surface('lab', { tpm: { ekSha256: keyOf('lab') } }));
  await serve(t, bed, [waiting('one'), waiting('two', { pairingCode: '1111-2222' })]);
  await until(async () => (await list(bed)).filter(({ status }) => status?.pairingCode).length === 2);
  const gatewayConfigPath = path.join(bed.folder, 'gateway.yaml');
  const file = (namespace: string) => `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
stateDir: nowhere
registry: { cluster: { namespace: ${namespace} } }
cluster: { kubeconfig: ${bed.cluster.kubeconfigPath} }
`;
  await writeFile(gatewayConfigPath, file('surfaced'));
  const shown = await listSurfaces({ gatewayConfigPath, output: 'text' });
  t.match(shown, /^lab +pending /m);
  t.match(shown, /^4821-9037 +192\.0\.2\.1 /m);
  const options = {
    gatewayConfigPath,
    level: null,
    policy: null,
    isReplacing: false,
    output: 'text',
  } as const;
  const approve = (name: string, which: { code: string } | { ek: string }) =>
    approveSurface({ ...options, name, which });
  t.match(
    await approveSurface({ ...options, name: 'desk', which: { code: '4821 9037' }, level: 1, policy: 'pi' }),
    /^Surface desk is approved .* \(ControlSurface surfaced\/desk\)\.\nYou assert level 1 .*: pi\./,
  );
  await t.rejects(approve('desk', { code: '1111-2222' }), { code: 'E_USAGE', message: /has another TPM/ });
  await t.rejects(approve('other', { ek: keyOf('lab') }), {
    code: 'E_USAGE',
    message: /already approved as "lab"/,
  });
  t.match(await approve('fresh', { ek: keyOf('fresh') }), /^Surface fresh is approved/);
  await t.rejects(approve('desk', { code: '0000-0000' }), {
    code: 'E_USAGE',
    message: /no TPM with the code/,
  });
  t.match(await showSurface({ gatewayConfigPath, name: 'desk', output: 'text' }), /assertedLevel: 1/);
  const revoke = (name: string, isRevoked: boolean) =>
    revokeSurface({ gatewayConfigPath, name, isRevoked, output: 'text' });
  t.match(await revoke('desk', true), /^Surface desk is revoked.*\(ControlSurface surfaced\/desk\)/);
  t.match(await listSurfaces({ gatewayConfigPath, output: 'text' }), /^desk +revoked/m);
  await revoke('desk', false);
  await t.rejects(revoke('nobody', true), { code: 'E_SURFACE_UNKNOWN', message: /namespace surfaced/ });
  await bed.client.send(
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/controlsurfaces.surfaced.dev',
    {
      method: 'DELETE',
    },
  );
  await t.rejects(listSurfaces({ gatewayConfigPath, output: 'text' }), {
    code: 'E_REGISTRY',
    message: /is not installed: kubectl apply -k deploy\/crd/,
  });
});
