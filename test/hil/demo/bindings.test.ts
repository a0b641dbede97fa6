/** What `--bind` means, which control gets which target, and what the terminal says about it. */
import fc from 'fast-check';
import t from 'tap';
import { parseConfig } from '../../../daemon/config/load.ts';
import { apiVersion } from '../../../daemon/config/schema.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { PanelSpec } from '../../../daemon/surface/types.ts';
import { parseBind } from '../../../hil/bind.ts';
import { type BannerFacts, demoBanner } from '../../../hil/demo-banner.ts';
import { boundTo, demoBindings } from '../../../hil/demo-bindings.ts';
import { demoWorkloads } from '../../../hil/sim/cluster/cluster.ts';
import { simPanelSpec } from '../../../hil/sim/panel/spec.ts';

const surfaceOf = (bindings: readonly unknown[]) =>
  parseConfig(
    'ControlSurface',
    JSON.stringify({ apiVersion, kind: 'ControlSurface', metadata: { name: 'demo' }, spec: { bindings } }),
    'test',
  );

t.test('a word is a binding', async (t) => {
  const target = (kind: string, version = 'apps/v1') => ({
    apiVersion: version,
    kind,
    namespace: 'shop',
    name: 'cart',
  });
  const cases: readonly [word: string, target: object, min: number, max: number][] = [
    ['shop/deployment/cart:2-9', target('Deployment'), 2, 9],
    ['shop/Deployments/cart', target('Deployment'), 1, 8],
    ['shop/deploy/cart', target('Deployment'), 1, 8],
    ['shop/sts/cart:1-1', target('StatefulSet'), 1, 1],
    ['shop/rs/cart', target('ReplicaSet'), 1, 8],
    ['shop/rc/cart', target('ReplicationController', 'v1'), 1, 8],
  ];
  for (const [word, target, min, max] of cases) t.same(parseBind(word), { target, min, max }, word);
});

t.test('whatever the word, it is a good binding or a usage error', async () => {
  const pieces = fc.constantFrom(
    'shop',
    '/',
    'deployment',
    'sts',
    'cart',
    ':',
    '0',
    '1-8',
    '-',
    '99999',
    'É',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces).map((parts) => parts.join('')),
      ),
      (word) => {
        try {
          surfaceOf(boundTo([parseBind(word)], simPanelSpec));
        } catch (error) {
          return error instanceof SurfacedError && error.class === 'usage';
        }
        return true;
      },
    ),
  );
});

const words = (count: number) =>
  Array.from({ length: count }, (_, index) => parseBind(`shop/deployment/app-${index}`));

t.test('targets get faders, then encoders, then the next bank', async (t) => {
  const { bindings } = surfaceOf(boundTo(words(10), simPanelSpec)).spec;
  t.same(
    bindings.map(({ control, bank }) => `${control} ${bank}`),
    [
      ...['fader1 0', 'fader2 0', 'fader3 0', 'fader4 0'],
      ...['encoder1 0', 'encoder2 0', 'encoder3 0', 'encoder4 0'],
      ...['fader1 1', 'fader2 1'],
    ],
  );
  const small: PanelSpec = { ...simPanelSpec, roles: {} };
  t.throws(() => boundTo(words(9), small), /place for 8 targets, got 9/, 'no key, no banks');
  const none: PanelSpec = { ...simPanelSpec, controls: [{ name: 'key', kind: 'button' }] };
  t.throws(() => boundTo(words(1), none), /place for 0 targets, got 1/);
  t.throws(() => boundTo(words(65), simPanelSpec), /place for 64 targets/);
});

t.test('the demo binds what its cluster has', async (t) => {
  const { bindings } = surfaceOf(demoBindings(simPanelSpec)).spec;
  t.same(
    bindings.map(({ target: { kind, namespace, name } }) => ({ kind, namespace, name })),
    demoWorkloads.map(({ kind, namespace, name }) => ({ kind, namespace, name })),
  );
});

const facts: BannerFacts = {
  url: 'http://127.0.0.1:8080/',
  kubeconfigPath: '/tmp/demo/kubeconfig',
  context: 'simulated',
  isSimulated: true,
  device: null,
  surface: surfaceOf(demoBindings(simPanelSpec)),
  rbacPath: '/tmp/demo/rbac.yaml',
  user: 'surfaced:surface:demo',
  identity: 'token',
};

t.test('the banner of a simulated cluster says so and gives lines to copy', async (t) => {
  const banner = demoBanner(facts);
  t.match(banner, /^ +panel +http:\/\/127\.0\.0\.1:8080\/$/m);
  t.match(banner, 'SIMULATED');
  t.match(banner, 'NOT ATTESTED');
  const lines = [...banner.matchAll(/^ +kubectl --kubeconfig \/tmp\/demo\/kubeconfig (.*)$/gm)];
  t.same(
    lines.map(([, line]) => line),
    [
      'get pods -A -w',
      '-n shop scale deployment cart --replicas=6',
      '-n shop annotate deployment flaky sim.surfaced.dev/behaviour=crash',
      '-n shop annotate deployment flaky sim.surfaced.dev/behaviour-',
    ],
  );
  t.notMatch(banner, 'rbac');
});

t.test('the banner of a real cluster says what is touched and which rights that takes', async (t) => {
  const real = { ...facts, isSimulated: false, context: 'a b', kubeconfigPath: "/home/o'neil/config" };
  const banner = demoBanner({ ...real, surface: surfaceOf(boundTo(words(9), simPanelSpec)) });
  t.match(banner, "REAL: context a b of /home/o'neil/config");
  t.match(banner, 'fader1: shop/Deployment/app-0, 1 to 8 replicas');
  t.match(banner, 'fader1 on bank 2: shop/Deployment/app-8, 1 to 8 replicas');
  t.match(banner, 'user surfaced:surface:demo');
  t.match(
    banner,
    "kubectl --kubeconfig '/home/o'\\''neil/config' --context 'a b' apply -f /tmp/demo/rbac.yaml",
    'quoted for a shell',
  );
  t.match(demoBanner({ ...real, surface: surfaceOf([]) }), /bindings +none: name targets with --bind/);
  t.match(demoBanner({ ...facts, device: 'launchpad-x on hw:1,0,1' }), /device +launchpad-x on hw:1,0,1/);
});
