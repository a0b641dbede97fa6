/** Kubeconfig and credentials: what is read when, and that connections are kept. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { loadCredentials } from '../../../daemon/bridge/kube/credentials.ts';
import { defaultTuning } from '../../../daemon/bridge/kube/tuning.ts';
import { silentLog } from '../../../daemon/log.ts';
import { startReplay } from '../../../hil/sim/replay/replay.ts';
import { refusal } from '../../../hil/sim/replay/reply.ts';
import { deployment, deskActor as desk, never, refusedBy, start } from './start.ts';

const config = { userPrefix: 'p:', group: 'g' };
const cart = deployment('cart');

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-kube-'));
  t.teardown(() => rm(folder, { recursive: true }));
  return folder;
}

/** Credentials for a kubeconfig, with a clock that the test moves. */
async function load(t: Test, user: Record<string, unknown>) {
  const folder = await folderFor(t);
  const replay = await startReplay({ recordings: [], speed: 1 });
  t.teardown(() => replay.stop());
  const kubeconfig = path.join(folder, 'kubeconfig');
  await writeFile(kubeconfig, replay.kubeconfig(user));
  const time = { ms: 0 };
  const clock = { now: () => time.ms, monotonic: () => time.ms };
  const credentials = await loadCredentials({
    config: { ...config, kubeconfig },
    log: silentLog,
    clock,
    tuning: defaultTuning,
  });
  t.teardown(() => credentials.close());
  return { credentials, time, folder, kubeconfig, replay };
}

t.test('one dispatcher as long as nothing changes; a new one with a new CA', async (t) => {
  const { credentials, time, kubeconfig } = await load(t, { token: 'one' });
  const first = await credentials.session();
  time.ms += 60_000;
  const second = await credentials.session();
  t.not(second, first, 'credentials were looked at again');
  t.equal(second.dispatcher, first.dispatcher);
  t.equal(second.headers.Authorization, 'Bearer one');

  const other = await startReplay({ recordings: [], speed: 1 });
  t.teardown(() => other.stop());
  await writeFile(kubeconfig, other.kubeconfig({ token: 'two' }));
  credentials.renew('unreachable');
  const third = await credentials.session();
  t.not(third.dispatcher, first.dispatcher);
  t.equal(third.origin, other.url);
  t.equal(third.headers.Authorization, 'Bearer two');
});

t.test('a kubeconfig that is broken meanwhile changes nothing', async (t) => {
  const { credentials, kubeconfig } = await load(t, { token: 'one' });
  await credentials.session();
  await writeFile(kubeconfig, 'clusters: [');
  credentials.renew('refused');
  t.equal((await credentials.session()).headers.Authorization, 'Bearer one');
});

t.test('a token file is read again, after a refusal at once', async (t) => {
  const { cluster, replay, folder } = await start(t, ['03-scale-errors'], {
    user: () => ({ tokenFile: 'token' }),
    prepare: async (replay, folder) => {
      await writeFile(path.join(folder, 'token'), 'old\n');
      replay.script(({ headers, pathname }) =>
        pathname.endsWith('/scale') && headers.authorization !== 'Bearer new'
          ? refusal(401, 'Unauthorized', 'Unauthorized')
          : null,
      );
    },
  });
  t.equal(replay.requests[0]?.headers.authorization, 'Bearer old', 'without the line feed at its end');
  await writeFile(path.join(folder, 'token'), 'new\n');
  t.ok(await cluster.getScale(cart, desk, never));
});

t.test('a credential plug-in', async (t) => {
  const { cluster, replay } = await start(t, ['03-scale-errors'], {
    user: (folder) => ({
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: path.join(folder, 'plugin'),
        args: ['x'],
      },
    }),
    prepare: async (_, folder) => {
      const file = path.join(folder, 'plugin');
      await writeFile(
        file,
        `#!/bin/sh\ncase "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 1;; esac\necho x >> '${folder}/runs'\necho '{"kind":"ExecCredential","status":{"token":"made"}}'\n`,
      );
      await chmod(file, 0o755);
    },
  });
  await cluster.getScale(cart, desk, never);
  t.equal(replay.requests.at(-1)?.headers.authorization, 'Bearer made');
});

t.test('a credential plug-in that hangs does not hang the request', async (t) => {
  const { cluster } = await start(t, [], {
    tuning: { requestMs: 100, probeDeadlineMs: 100 },
    user: () => ({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'sleep', args: ['1'] } }),
  });
  t.match(cluster.health(), { isHealthy: false, detail: /did not answer in time/ });
  t.match(await refusedBy(cluster.getScale(cart, desk, never)), { reason: 'Timeout', isUncertain: false });
});

t.test('a credential plug-in that is not there is named', async (t) => {
  const { cluster } = await start(t, [], {
    user: () => ({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/nowhere/plugin' } }),
  });
  t.match(cluster.health(), { isHealthy: false, detail: /no credentials: .*\/nowhere\/plugin ENOENT/ });
});

t.test('a path in the server address is kept', async (t) => {
  const { credentials, kubeconfig, replay } = await load(t, {});
  await writeFile(kubeconfig, replay.kubeconfig({}).replace(replay.url, `${replay.url}/k8s/clusters/c1/`));
  credentials.renew('refused');
  t.match(await credentials.session(), { origin: replay.url, basePath: '/k8s/clusters/c1' });
});

t.test('kubeconfigs that cannot be used', async (t) => {
  const files = {
    broken: 'clusters: [',
    empty: '',
    http: JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      users: [{ name: 'u', user: {} }],
      'current-context': 'x',
    }),
  };
  const folder = await folderFor(t);
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  const options = { log: silentLog, clock: { now: () => 0, monotonic: () => 0 }, tuning: defaultTuning };
  const attempt = (name: string, context?: string): Promise<unknown> =>
    loadCredentials({
      ...options,
      config: {
        ...config,
        kubeconfig: path.join(folder, name),
        ...(context === undefined ? {} : { context }),
      },
    });
  for (const name of ['broken', 'empty', 'missing'])
    await t.rejects(attempt(name), { code: 'E_KUBE_CONFIG', message: new RegExp(name) });
  await t.rejects(attempt('http'), { code: 'E_KUBE_CONFIG', message: /plain HTTP/ });
  await t.rejects(attempt('http', 'other'), { code: 'E_KUBE_CONFIG', message: /"other".*contexts: x/ });
});

t.test('a server that is another one than the CA says is not talked to', async (t) => {
  const { cluster, replay } = await start(t, [], {
    prepare: (replay) => {
      const other = startReplay({ recordings: [], speed: 1 });
      t.teardown(async () => (await other).stop());
      return other.then(({ caPem }) => {
        Object.defineProperty(replay, 'caPem', { value: caPem });
      });
    },
  });
  t.match(cluster.health(), { isHealthy: false, detail: /self.signed|signature|certificate/i });
  t.equal(replay.requests.length, 0);
});
