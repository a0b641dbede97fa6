/**
 * The main job as processes: bytes of a Launchpad through a pseudo-terminal, `surfaced device`, `surfaced gateway`,
 * the simulated cluster, `kubectl`, and lights back.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { stringify } from 'yaml';
import { rbacFor } from '../../daemon/bridge/kube/rbac.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { silentLog } from '../../daemon/log.ts';
import { startSimCluster } from '../../hil/sim/cluster/cluster.ts';
import { noSocat } from '../hw/ports/socat.ts';
import { Launchpad } from './launchpad.ts';
import { kubectl, noKubectl, Surfaced, surfaced, writeGateway } from './processes.ts';

const surface = 'desk';
const bindings = [
  {
    control: 'row1',
    target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
    max: 8,
    colour: 'blue',
  },
];
const apiVersion = 'surfaced.dev/v1alpha1';
/** Notes of the top row of pads; one binding has all eight rows, and fills them from the top left. */
const topRow = [81, 82, 83, 84, 85, 86, 87, 88];

t.test('a Launchpad scales a Deployment and shows its Pods', { skip: noSocat || noKubectl }, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-e2e-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const cluster = await startSimCluster({
    port: 0,
    dir: folder,
    log: silentLog,
    workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 2 }],
    timing: {},
    seed: 1,
  });
  t.teardown(() => cluster.close());
  const spec = { apiVersion, kind: 'ControlSurface', metadata: { name: surface }, spec: { bindings } };
  for (const object of rbacFor(parseConfig('ControlSurface', stringify(spec), 'test'), {
    userPrefix: 'surfaced:surface:',
  })) {
    cluster.control.create(object);
  }
  const replicas = (): Promise<string> =>
    kubectl(
      cluster.kubeconfigPath,
      '-n',
      'shop',
      'get',
      'deployment',
      'cart',
      '-o',
      'jsonpath={.spec.replicas}',
    );

  const writes = (): number =>
    cluster.control.requestLog.entries.filter(
      ({ verb, path }) => verb === 'update' && path.includes('/scale'),
    ).length;

  const files = await writeGateway(folder, cluster.kubeconfigPath, surface, bindings);
  const startGateway = async (): Promise<Surfaced> => {
    const gateway = new Surfaced('gateway', ['gateway', '--config', files.config]);
    t.teardown(() => gateway.end('SIGKILL'));
    await gateway.logged('gateway started');
    return gateway;
  };
  let gateway = await startGateway();
  const enrolment = JSON.parse(
    await surfaced('enroll', 'token', '--config', files.config, '--surface', surface, '-o', 'json'),
  ) as { token: string; caPin: string };

  const link = path.join(folder, 'launchpad');
  const pad = await Launchpad.plug(link);
  t.teardown(() => pad.unplug());
  const deviceFile = path.join(folder, 'surfaced.yaml');
  await writeFile(
    deviceFile,
    stringify({
      apiVersion,
      kind: 'Device',
      gateway: { url: `https://localhost:${files.enrolPort}`, caPin: enrolment.caPin },
      identity: { token: enrolment.token },
      panel: { preset: 'launchpad-mini-mk3', port: { type: 'pty', path: link }, brightness: 1 },
    }),
  );
  const device = new Surfaced('device', ['device', '--config', deviceFile]);
  t.teardown(() => device.end('SIGKILL'));

  /** Pods that are lit steadily in the binding's blue. */
  const isBlue = (note: number): boolean => {
    const [red = 0, green = 0, blue = 0] = (pad.lights.get(note) ?? '').split(',').map(Number);
    return blue > 80 && green > 30 && red < 20;
  };
  const lit = (): number => topRow.filter(isBlue).length;

  await pad.until(() => pad.isInProgrammerMode);
  await pad.until(() => lit() === 2);
  t.pass('two ready Pods are two lights');

  pad.press(85);
  await gateway.logged('command ended');
  pad.release(85);
  t.equal(await replicas(), '5', 'kubectl reports what the pad asked for');
  await pad.until(() => lit() === 5);
  t.equal(writes(), 1, 'one write');

  await gateway.end('SIGKILL');
  await kubectl(cluster.kubeconfigPath, '-n', 'shop', 'scale', 'deployment', 'cart', '--replicas=3');
  await pad.until(() => lit() === 0);
  t.pass('without a gateway no light looks live');
  pad.press(88);
  gateway = await startGateway();
  const startedAt = performance.now();
  await pad.until(() => lit() === 3);
  t.comment(`display right ${Math.round(performance.now() - startedAt)} ms after the gateway was back`);
  pad.release(88);
  t.equal(await replicas(), '3', 'a pad held while the gateway was away asks for nothing');
  t.equal(writes(), 1, 'nothing acted twice');

  await device.end('SIGTERM');
  await pad.until(() => !pad.isInProgrammerMode);
  t.equal(
    [...pad.lights.values()].filter((colour) => colour !== '0,0,0').length,
    0,
    'the panel is left dark and in its own mode',
  );
});
