/** `surfaced demo` as a process: how it starts, how it ends, what it says when it cannot. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import t, { type Test } from 'tap';
import { stringify } from 'yaml';
import { SurfacedError } from '../../daemon/errors.ts';
import { silentLog } from '../../daemon/log.ts';
import { type DemoOptions, startDemo } from '../../hil/demo.ts';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { until } from '../hw/ports/socat.ts';
import { healthz, PageClient, startDemoProcess } from './demo-process.ts';
import { noKubectl, Surfaced } from './processes.ts';

const parts = [
  'panel',
  'link',
  'trust',
  'policy',
  'audit',
  'cluster',
  'broker',
  'enrol',
  'registry',
  'relay',
];

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`starts, tells what is up, and ${signal} leaves nothing`, { skip: noKubectl }, async (t) => {
    const demo = await startDemoProcess();
    t.teardown(() => demo.process.end('SIGTERM'));
    t.match(demo.banner, 'SIMULATED');
    t.match(demo.process.log(), 'the cluster is simulated', 'the log says so too');
    t.match(demo.banner, withoutSwtpm ? 'NOT ATTESTED' : 'attested by a software TPM');
    const page = await PageClient.open(demo.url);
    await page.until(() => page.health?.ok === true);
    const { status, report } = await healthz(demo.url);
    t.equal(status, 200);
    t.same(Object.keys(report.parts), parts);
    if (withoutSwtpm === false) {
      await page.until(() => page.facts?.trust.isAttested === true);
      t.match(page.facts?.trust, { level: 1, pairingCode: /^\d{4}-\d{4}$/, ekSha256: /^[0-9a-f]{64}$/ });
      t.match(page.facts?.trust.sentence, 'can report anything');
    }
    // Open connections of all kinds must not hold it.
    const watch = ['--kubeconfig', demo.kubeconfig, 'get', 'pods', '-A', '-w', '--no-headers'];
    const kubectl = spawn('kubectl', watch, { stdio: ['ignore', 'pipe', 'ignore'] });
    t.teardown(() => kubectl.kill());
    await until(kubectl.stdout, /cart/);
    const folder = path.dirname(demo.kubeconfig);
    t.ok(existsSync(folder));

    const signalledAt = performance.now();
    demo.process.signal(signal);
    t.equal(await demo.process.ended(), 0);
    t.comment(`ended ${Math.round(performance.now() - signalledAt)} ms after ${signal}`);
    t.notOk(existsSync(folder), 'its files are gone');
    await t.rejects(fetch(demo.url), 'its port is closed');
    await page.close();
  });
}

t.test('the file of a real surface: its bindings count, not its chip', { skip: withoutSwtpm }, async (t) => {
  const folder = t.testdir({
    'desk.yaml': `apiVersion: surfaced.dev/v1alpha1
kind: ControlSurface
metadata: { name: desk }
spec:
  tpm: { ekSha256: ${'ab'.repeat(32)}, assertedLevel: 2 }
  policy: pi-baseline
  bindings:
    - { control: fader1, target: { apiVersion: apps/v1, kind: Deployment, namespace: shop, name: web }, min: 1, max: 8 }
`,
  });
  const demo = await startDemoProcess('--surface', path.join(folder, 'desk.yaml'));
  t.teardown(() => demo.process.end('SIGTERM'));
  const page = await PageClient.open(demo.url);
  t.teardown(() => page.close());
  await page.live('web');
  await page.until(() => page.facts?.trust.isAttested === true);
  t.match(page.facts?.trust, { level: 1 });
});

t.test('without a software TPM it says what to install', async (t) => {
  const demo = new Surfaced('demo', ['demo', '--port', '0'], { PATH: '/no/such/folder' });
  t.teardown(() => demo.end('SIGTERM'));
  t.equal(await demo.ended(), 2);
  t.match(demo.log(), 'E_SWTPM');
  t.match(demo.log(), 'apt-get install swtpm');
  t.match(demo.log(), '--identity token');
});

/** An API server that takes connections and says nothing. */
async function silentServer(t: Test): Promise<{ kubeconfig: string; asked: Promise<unknown> }> {
  const server = createServer().listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const asked = once(server, 'connection');
  const { port } = server.address() as AddressInfo;
  const kubeconfig = path.join(t.testdir({}), 'kubeconfig');
  writeFileSync(
    kubeconfig,
    stringify({
      clusters: [
        {
          name: 'silent',
          cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true },
        },
      ],
      users: [{ name: 'nobody', user: { token: 'none' } }],
      contexts: [{ name: 'silent', context: { cluster: 'silent', user: 'nobody' } }],
      'current-context': 'silent',
    }),
  );
  return { kubeconfig, asked };
}

t.test('a signal while it starts leaves nothing either', async (t) => {
  const { kubeconfig, asked } = await silentServer(t);
  const folder = path.join(path.dirname(kubeconfig), 'temporary');
  mkdirSync(folder);
  const demo = new Surfaced('demo', ['demo', '--port', '0', '--kubeconfig', kubeconfig], { TMPDIR: folder });
  t.teardown(() => demo.end('SIGKILL'));
  await asked;
  const left = () => readdirSync(folder).filter((name) => name.startsWith('surfaced-'));
  t.ok(left().length > 0, 'it is in the middle');
  demo.signal('SIGTERM');
  t.equal(await demo.ended(), 0);
  t.same(left(), []);
});

t.test('what it cannot do ends it with 2 and says what to do', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const demo = new Surfaced('demo', ['demo', '--port', String(port)]);
  t.teardown(() => demo.end('SIGKILL'));
  t.equal(await demo.ended(), 2);
  t.match(demo.log(), `127.0.0.1:${port}: another program has it`);
  t.match(demo.log(), 'E_PANEL_PORT: Choose another port with `--port`, or `--port 0` for any free one.');
});

t.test('wrong options are named', async (t) => {
  const dir = t.testdir({
    'surface.yaml': `apiVersion: surfaced.dev/v1alpha1
kind: ControlSurface
metadata: { name: desk }
spec:
  bindings:
    - control: fader1
      target: { apiVersion: apps/v1, kind: Deployment, namespace: shop, name: cart }
      max: many
`,
    'device.yaml': `apiVersion: surfaced.dev/v1alpha1
kind: Device
panel:
  preset: launchpad
  port: { type: raw-midi, path: 'hw:1,0,1' }
`,
    'kubeconfig.yaml': 'clusters: []\n',
  });
  const named = (file: string) => path.join(dir, file);
  const cart = 'shop/deployment/cart';
  const cases: readonly [options: Partial<DemoOptions>, message: RegExp][] = [
    [{ surface: named('surface.yaml') }, /surface\.yaml:8:12 spec\.bindings\.0\.max: expected number/],
    [
      { device: named('device.yaml') },
      /device\.yaml:4:11 panel\.preset: expected one of .*launchpad-mini-mk3/,
    ],
    [{ device: named('missing.yaml') }, /missing\.yaml: cannot be read/],
    [{ bind: ['cart'] }, /--bind: expected namespace\/kind\/name/],
    [{ bind: [`${cart}:8-1`] }, /--bind: limits 8-1 must run upwards/],
    [{ bind: ['shop/frob/cart'] }, /--bind: kind "frob" has no short form/],
    [{ bind: Array.from({ length: 65 }, () => cart) }, /--bind: the panel has place for 64 targets, got 65/],
    [{ context: 'there' }, /--context .* give --kubeconfig too/],
    [{ kubeconfig: named('missing') }, /missing/],
    [{ kubeconfig: named('kubeconfig.yaml') }, /kubeconfig\.yaml: context "" names no cluster/],
  ];
  for (const [options, message] of cases) {
    const error = await startDemo(
      { bind: [], port: 0, identity: 'token', version: '0.0.0', log: silentLog, ...options },
      new AbortController().signal,
    ).then(
      async (demo) => {
        await demo.stop();
        return null;
      },
      (problem: unknown) => problem,
    );
    t.match(error, message);
    t.equal(error instanceof SurfacedError && error.class, 'usage', 'which is exit code 2');
  }
});
