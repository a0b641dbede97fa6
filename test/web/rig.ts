/** A real gateway with its pages on a simulated cluster, people with rights in it, and a browser. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { createTokenCredentials } from '../../daemon/attest/enrol/client.ts';
import { upTopic } from '../../daemon/bridge/wire/topics.ts';
import { systemClock } from '../../daemon/clock.ts';
import { loadConfig } from '../../daemon/config/load.ts';
import { type Gateway, startGateway } from '../../daemon/gateway.ts';
import { silentLog } from '../../daemon/log.ts';
import type { SimCluster } from '../../hil/sim/cluster/cluster.ts';
import type { SimWorkload } from '../../hil/sim/cluster/workloads.ts';
import { RawClient } from '../bridge/broker/raw-client.ts';
import { definition } from '../bridge/registry/rig.ts';
import { chromiumArguments, chromiumPath } from '../chromium.ts';
import { objectsOf } from '../deploy/manifests.ts';
import { startedCluster } from '../hil/cluster/support.ts';

export const head = 'apiVersion: surfaced.dev/v1alpha1\n';
const target = (name: string, namespace = 'shop') =>
  `{ apiVersion: apps/v1, kind: Deployment, namespace: ${namespace}, name: ${name} }`;

/** A surface with a few bindings, one of them to nothing. */
export const desk = `${head}kind: ControlSurface
metadata: { name: desk }
spec:
  bindings:
    - { control: fader1, max: 12, target: ${target('cart')} }
    - { control: fader2, max: 8, target: ${target('web')} }
    - { control: fader3, max: 9, target: ${target('flaky')} }
    - { control: encoder1, max: 9, target: ${target('nowhere')} }
`;

const workloads: readonly SimWorkload[] = [
  { kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 3 },
  {
    kind: 'Deployment',
    namespace: 'shop',
    name: 'web',
    replicas: 3,
    autoscaler: { min: 2, max: 6 },
  },
  { kind: 'Deployment', namespace: 'shop', name: 'flaky', replicas: 2, behaviour: 'crash' },
];

/** Tokens of people, by what they may do. */
export const tokens = {
  operator: 'token-of-olga',
  viewer: 'token-of-vera',
  nobody: 'token-of-nick',
} as const;

const namespace = 'surfaced';
const rbac = 'rbac.authorization.k8s.io';

/** Lets a user do something with the surfaces' objects. */
export function allow(
  cluster: SimCluster,
  user: string,
  verbs: readonly string[],
  ...resources: string[]
): void {
  const metadata = { name: `${user}-${verbs[0]}-${resources[0]}`, namespace };
  const apiVersion = `${rbac}/v1`;
  cluster.control.create({
    ...{ apiVersion, kind: 'Role', metadata },
    rules: [{ apiGroups: ['surfaced.dev'], resources, verbs }],
  } as never);
  cluster.control.create({
    ...{ apiVersion, kind: 'RoleBinding', metadata },
    roleRef: { apiGroup: rbac, kind: 'Role', name: metadata.name },
    subjects: [{ apiGroup: rbac, kind: 'User', name: user }],
  } as never);
}

export interface Site {
  readonly folder: string;
  readonly gateway: Gateway;
  readonly cluster: SimCluster;
  readonly url: string;
}

/** Starts a gateway. @param options.login as it stands in the Gateway file */
export async function site(
  t: Test,
  options: {
    readonly login?: string;
    readonly more?: string;
    readonly surfaces?: readonly string[];
    /** True: surfaces are in the cluster, and the gateway has its own account there with the rights of `deploy`. */
    readonly isInCluster?: boolean;
  } = {},
): Promise<Site> {
  const { login = '{ tokens: {} }', more = '', surfaces = [desk], isInCluster = false } = options;
  const { cluster, client } = await startedCluster(t, { workloads });
  await client.post('/api/v1/namespaces', { metadata: { name: namespace } });
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-pages-'));
  await mkdir(path.join(folder, 'surfaces'));
  for (const [index, text] of surfaces.entries())
    await writeFile(path.join(folder, 'surfaces', `${index}.yaml`), text);
  const kubeconfig = isInCluster ? await ownAccount(cluster, folder) : cluster.kubeconfigPath;
  const file = path.join(folder, 'gateway.yaml');
  await writeFile(
    file,
    `${head}kind: Gateway
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: ${isInCluster ? '{ cluster: {} }' : '{ folder: surfaces }'}
policy: { identity: token }
cluster: { kubeconfig: ${kubeconfig} }
pages: { listen: '127.0.0.1:0', login: ${login}${more} }
`,
  );
  const config = await loadConfig('Gateway', file);
  const gateway = await startGateway({ config, clock: systemClock, random: Math.random, log: silentLog });
  t.teardown(async () => {
    await gateway.stop();
    await rm(folder, { recursive: true, force: true });
  });
  cluster.control.addToken(tokens.operator, 'olga', ['operators']);
  cluster.control.addToken(tokens.viewer, 'vera', []);
  cluster.control.addToken(tokens.nobody, 'nick', []);
  for (const user of ['olga', 'vera']) allow(cluster, user, ['get'], 'controlsurfaces');
  allow(cluster, 'olga', ['update'], 'controlsurfaces', 'surfacerequests');
  return { folder, gateway, cluster, url: gateway.pagesUrl ?? '' };
}

/** The gateway's account, with what `deploy/` gives it and nothing else; @returns its kubeconfig */
async function ownAccount(cluster: SimCluster, folder: string): Promise<string> {
  for (const plural of ['controlsurfaces', 'surfacerequests'])
    cluster.control.create(definition(plural) as never);
  for (const file of ['base/rights.yaml', 'components/pages/rights.yaml'])
    for (const object of objectsOf(file)) cluster.control.create(object);
  cluster.control.addToken('token-of-the-gateway', 'system:serviceaccount:surfaced:surfaced-gateway', []);
  const ca = Buffer.from(cluster.caPem).toString('base64');
  const file = path.join(folder, 'account.json');
  await writeFile(
    file,
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'sim' },
      clusters: [{ name: 'sim', cluster: { server: cluster.url, 'certificate-authority-data': ca } }],
      users: [{ name: 'gateway', user: { token: 'token-of-the-gateway' } }],
      contexts: [{ name: 'sim', context: { cluster: 'sim', user: 'gateway' } }],
    }),
  );
  return file;
}

/** Brings the surface `desk` online by a one-time token; what it says is up to the test. */
export async function online(t: Test, { gateway }: Site, name = 'desk'): Promise<RawClient> {
  const { token } = await gateway.tokens.create({ surface: name, ttlMs: 60_000, uses: 1 });
  const source = createTokenCredentials({
    config: { url: `https://127.0.0.1:${gateway.enrolPort}`, caPin: gateway.caPin },
    ...{ token, clock: systemClock, random: Math.random, log: silentLog },
  });
  t.teardown(() => source.stop());
  const { caPem, certificatePem, privateKeyPem: keyPem } = await source.current(new AbortController().signal);
  const client = new RawClient(gateway.brokerPort, caPem, { certificatePem, keyPem });
  t.teardown(() => client.end());
  await client.connect({ clientId: name });
  const session = 'session-0001';
  const fader = (control: string) => ({ name: control, kind: 'fader' });
  const birth = {
    ...{ v: 1, session, at: Date.now(), model: 'Desk of the tests', firmware: '1.2.3', clock: 'synced' },
    controls: [
      ...['fader1', 'fader2', 'fader3'].map(fader),
      { name: 'encoder1', kind: 'encoder' },
      { name: 'arm', kind: 'button' },
    ],
  };
  client.publish(upTopic('site', name, 'birth'), JSON.stringify(birth));
  return client;
}

/** A browser for a file of tests. */
export async function openBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: chromiumPath, args: chromiumArguments });
  t.teardown(() => browser.close());
  return browser;
}

/** Somebody at a browser; whatever its console complains about, such as broken content policy, is kept. */
export interface Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly complaints: string[];
}

/** A fresh browser window. */
export async function visitor(
  t: Test,
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Visitor> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  t.teardown(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { context, page, complaints };
}

/** Pastes a token and sends it. */
export async function logIn(page: Page, url: string, token: string): Promise<void> {
  await page.goto(`${url}/login`);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
}
