/** Two gateways with the broker inside: one is active, the other one warm until it is gone. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { stringify } from 'yaml';
import { loadAuthority } from '../../daemon/attest/authority/ca.ts';
import { systemClock } from '../../daemon/clock.ts';
import { apiVersion } from '../../daemon/config/schema.ts';
import { site } from '../bridge/registry/rig.ts';
import { freePort, Surfaced } from './processes.ts';
import { until } from './several-site.ts';

t.test('the warm one is not ready and says why; it listens when the other is killed', async (t) => {
  const bed = await site(t);
  const shared = path.join(bed.folder, 'ca');
  await mkdir(shared, { mode: 0o700 });
  const { pin } = await loadAuthority({ stateDir: shared, site: 'site', clock: systemClock });
  const brokerPort = await freePort();
  const start = async (name: string) => {
    const health = await freePort();
    const config = path.join(bed.folder, `${name}.yaml`);
    await writeFile(
      config,
      stringify({
        ...{ apiVersion, kind: 'Gateway', stateDir: path.join(bed.folder, name) },
        enrol: { listen: '127.0.0.1:0' },
        broker: { listen: `127.0.0.1:${brokerPort}` },
        shards: { durationSeconds: 5, ca: path.join(shared, 'ca.pem') },
        registry: { cluster: {} },
        cluster: { kubeconfig: bed.cluster.kubeconfigPath },
        health: { listen: `127.0.0.1:${health}` },
      }),
    );
    const gateway = new Surfaced(name, ['gateway', '--config', config, '--name', name]);
    t.teardown(() => gateway.end('SIGKILL'));
    const ready = async () => {
      const answer = await fetch(`http://127.0.0.1:${health}/readyz`).catch(() => null);
      return { status: answer?.status ?? 0, text: (await answer?.text()) ?? '' };
    };
    return { gateway, ready };
  };
  const one = await start('one');
  t.equal((await one.gateway.logged('gateway started')).caPin, pin);
  const two = await start('two');
  await until(async () => (await two.ready()).text.includes('another gateway is active'));
  t.equal((await two.ready()).status, 503);
  await until(async () => (await one.ready()).status === 200);
  await one.gateway.end('SIGKILL');
  t.match(await two.gateway.logged('gateway started'), { brokerPort, caPin: pin });
  await until(async () => (await two.ready()).status === 200);

  // One that cannot renew its Lease ends: there may be another broker by now.
  const leases = '/apis/coordination.k8s.io/v1/namespaces/surfaced/leases';
  await bed.client.send(`${leases}/surfaced-shard-0`, { method: 'DELETE' });
  bed.cluster.control.failNext(100_000, 503, null);
  t.equal(await two.gateway.ended(), 1);
  t.match(two.gateway.log(), /E_SHARD_LOST/);
});
