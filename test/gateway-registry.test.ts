/** A whole gateway whose registry is in the simulated cluster, operated by kubectl. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { systemClock } from '../daemon/clock.ts';
import { loadConfig } from '../daemon/config/load.ts';
import { startGateway } from '../daemon/gateway.ts';
import { silentLog } from '../daemon/log.ts';
import { site, surfaces, until, withoutKubectl } from './bridge/registry/rig.ts';
import type { Json } from './hil/cluster/support.ts';

const desk = `apiVersion: surfaced.dev/v1alpha1
kind: ControlSurface
metadata: { name: desk }
spec:
  colour: unknown
  bindings:
    - control: fader1
      max: 9
      target: { apiVersion: apps/v1, kind: Deployment, namespace: shop, name: cart }
    - control: fader2
      max: 9
      target: { apiVersion: apps/v1, kind: Deployment, namespace: shop, name: nowhere }
`;

t.test(
  'a surface that kubectl applies is served, and says how it is',
  { skip: withoutKubectl },
  async (t) => {
    const bed = await site(t, {
      workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 1 } as never],
    });
    const file = path.join(bed.folder, 'gateway.yaml');
    await writeFile(
      file,
      `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: { cluster: {} }
cluster: { kubeconfig: ${bed.cluster.kubeconfigPath} }
`,
    );
    const config = await loadConfig('Gateway', file);
    const gateway = await startGateway({ config, clock: systemClock, random: Math.random, log: silentLog });
    t.teardown(() => gateway.stop());
    t.equal(gateway.registryFolder, null);
    t.match(gateway.health().parts.registry, { ok: true, detail: '0 surfaces' });

    const manifest = path.join(bed.folder, 'desk.yaml');
    await writeFile(manifest, desk);
    t.match(
      await bed.kubectl('apply', '--validate=false', '-f', manifest),
      /controlsurface.surfaced.dev\/desk created/,
    );
    const read = async () =>
      (await bed.client.get(`${surfaces}/desk`)).body as unknown as {
        readonly spec: Json;
        readonly status?: {
          readonly conditions?: readonly { type: string; status: string; reason: string }[];
        };
      };
    const conditions = async (): Promise<Record<string, string>> =>
      Object.fromEntries(
        ((await read()).status?.conditions ?? []).map(({ type, status, reason }) => [
          type,
          `${status} ${reason}`,
        ]),
      );
    await until(async () => (await conditions()).Resolved === 'False TargetMissing');
    t.same(await conditions(), {
      Approved: 'False NoKey',
      Valid: 'True Valid',
      Attested: 'False NoKey',
      Connected: 'False NotSeen',
      Resolved: 'False TargetMissing',
    });
    t.equal((await read()).spec.colour, undefined, 'what the definition does not know is pruned');
    t.match(await bed.kubectl('get', 'cs'), /^NAME +APPROVED +ATTESTED +LEVEL +CONNECTED +RESOLVED +AGE/);
    t.match(await bed.kubectl('get', 'surfaced'), /desk +False +False +/, 'by its category');

    const key = 'ab'.repeat(32);
    const patch = JSON.stringify({ spec: { tpm: { ekSha256: key } } });
    await bed.kubectl('patch', 'cs', 'desk', '--type', 'merge', '-p', patch);
    await bed.kubectl('wait', '--for=condition=Approved', 'cs/desk', '--timeout=120s');
    await until(async () => (await conditions()).Attested === 'False Pending');
    await until(async () => (await bed.kubectl('get', 'events')).includes('Approved'));
    t.match(await bed.kubectl('get', 'events'), /Normal +Approved +controlsurface\/desk +The TPM with/);
    await bed.kubectl('patch', 'cs', 'desk', '--type', 'merge', '-p', '{"spec":{"isRevoked":true}}');
    await until(async () => (await conditions()).Approved === 'False Revoked');
  },
);
