/** What probes see of a gateway that starts without its API server, and of one that ends. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { systemClock } from '../../daemon/clock.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { startGateway } from '../../daemon/gateway.ts';
import { openTelemetry } from '../../daemon/gateway-telemetry.ts';
import { healthOf, startHealthServer } from '../../daemon/health.ts';
import { silentLog } from '../../daemon/log.ts';
import { nobodysKubeconfig as kubeconfig } from '../nobodys-cluster.ts';

const configIn = (folder: string, listen: string) =>
  parseConfig(
    'Gateway',
    `apiVersion: surfaced.dev/v1alpha1
kind: Gateway
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: { folder: surfaces }
policy: { identity: token }
cluster: { kubeconfig: kubeconfig }
health: { listen: '${listen}' }
`,
    path.join(folder, 'gateway.yaml'),
  );
const parts = { clock: systemClock, random: Math.random, log: silentLog };
const get = async (port: number | null, route: string) => {
  const response = await fetch(`http://127.0.0.1:${port}${route}`);
  return { status: response.status, text: await response.text() };
};

t.test('alive but not ready before the API server has answered once', async (t) => {
  const folder = t.testdir({ kubeconfig });
  await mkdir(path.join(folder, 'surfaces'));
  const gateway = await startGateway({ ...parts, config: configIn(folder, '127.0.0.1:0') });
  t.teardown(() => gateway.stop());
  t.match(await get(gateway.healthPort, '/livez'), { status: 200 });
  t.match(await get(gateway.healthPort, '/readyz'), { status: 503, text: /has not answered yet/ });
  t.match(await get(gateway.healthPort, '/healthz'), { status: 503 });
  t.match((await get(gateway.healthPort, '/metrics')).text, /^surfaced_kube_up 0$/m);
});

t.test('starting, running, stopping', async (t) => {
  const folder = t.testdir({ kubeconfig });
  const telemetry = await openTelemetry({ ...parts, config: configIn(folder, '127.0.0.1:0') });
  t.teardown(() => telemetry.close());
  const { port } = telemetry;
  t.match(await get(port, '/readyz'), { status: 503, text: /starting/ });
  t.match(await get(port, '/healthz'), { status: 503, text: /starting/ });
  t.match(await get(port, '/livez'), { status: 200 });
  t.match(await get(port, '/metrics'), { status: 200 });
  let isSeen = false;
  const report = () => healthOf({ policy: { ok: false, detail: 'a set is bad' } });
  telemetry.started({ report, hasSeenCluster: () => isSeen });
  t.match(await get(port, '/readyz'), { status: 503 });
  isSeen = true;
  t.match(await get(port, '/readyz'), { status: 200 });
  t.match(await get(port, '/healthz'), { status: 503, text: /a set is bad/ });
  telemetry.stopping();
  t.match(await get(port, '/readyz'), { status: 503, text: /stopping/ });
  t.match(await get(port, '/livez'), { status: 200 });
});

t.test('an address that is taken ends the start; metrics that fail are no half truth', async (t) => {
  const folder = t.testdir({ kubeconfig });
  const fine = () => healthOf({});
  const first = await startHealthServer('127.0.0.1:0', {
    report: fine,
    readiness: fine,
    metrics: { contentType: 'text/plain', text: () => Promise.reject(new Error('no source')) },
  });
  t.teardown(() => first.close());
  t.match(await get(first.port, '/metrics'), { status: 500 });
  t.match(await get(first.port, '/nothing'), { status: 404 });
  await t.rejects(openTelemetry({ ...parts, config: configIn(folder, `127.0.0.1:${first.port}`) }), {
    code: 'E_LISTEN',
  });
});
