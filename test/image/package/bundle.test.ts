import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { bundleProgram, nativePackages, packagesIn, projectRoot } from '../../../image/package/bundle.ts';

/** Laid out as in the package; packages with native code are those of the project, where they are installed. */
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'bundle-')));
t.teardown(() => rmSync(folder, { recursive: true }));
const metafile = await bundleProgram(folder);
writeFileSync(path.join(folder, 'package.json'), '{ "type": "module", "version": "1.2.3-test" }');
mkdirSync(path.join(folder, 'node_modules'));
for (const name of nativePackages)
  symlinkSync(path.join(projectRoot, 'node_modules', name), path.join(folder, 'node_modules', name));
const main = path.join(folder, 'dist/daemon/main.js');
const run = (...words: string[]) =>
  promisify(execFile)(process.execPath, [main, ...words]).catch(
    (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
  );

/** Files that are loaded with the one that was made from `source`, without those that are loaded later. */
function loadedWith(source: string): string[] {
  const first = Object.keys(metafile.outputs).find((name) => metafile.outputs[name]?.entryPoint === source);
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const { path: used, kind, external } of metafile.outputs[name]?.imports ?? [])
      if (kind === 'import-statement' && external !== true) visit(used);
  };
  visit(first ?? 'missing');
  return [...seen].flatMap((name) => Object.keys(metafile.outputs[name]?.inputs ?? {}));
}

t.test('a surface loads nothing of Kubernetes, no web server and no stand-in', async (t) => {
  const device = [...loadedWith('daemon/main.ts'), ...loadedWith('daemon/commands/device.ts')];
  t.ok(device.includes('daemon/hw/panel.ts'), 'the list is one');
  const unwanted = /\/(?:@kubernetes|fastify|aedes|undici)\/|^hil\/|^daemon\/(?:bridge\/kube\/|gateway\.ts)/;
  t.same(
    device.filter((file) => unwanted.test(file)),
    [],
  );
  t.same(
    Object.keys(metafile.inputs).filter((file) => file.startsWith('hil/')),
    [],
    'nor is one in the bundle',
  );
});

t.test('a package of CommonJS that is loaded later is used by its default export only', async (t) => {
  const isCommonJs = (file: string) =>
    file.includes('node_modules/') && metafile.inputs[file]?.format === 'cjs';
  const late = Object.entries(metafile.inputs)
    .filter(([file]) => !file.includes('node_modules/'))
    .flatMap(([, { imports }]) => imports.filter(({ kind }) => kind === 'dynamic-import'))
    .map((used) => used.path)
    .filter(isCommonJs);
  const names = late.map((file) => file.replace(/^node_modules\/((?:@[^/]+\/)?[^/]+).*$/, '$1'));
  // Its names would be undefined in the bundle: load a file of the project later that imports it.
  t.same([...new Set(names)].sort(), ['fastify', 'pino-pretty']);
});

t.test('packages that are in it are known by their folders', async (t) => {
  const folders = packagesIn(metafile);
  t.ok(folders.includes('node_modules/zod') && folders.includes('node_modules/@kubernetes/client-node'));
  for (const each of folders) t.ok(existsSync(path.join(projectRoot, each, 'package.json')), each);
});

t.test('it runs', async (t) => {
  t.equal((await run('--version')).stdout, '1.2.3-test\n', 'it finds its package.json');
  t.match((await run('--help')).stdout, /device \[options\] +the Pi's daemon/);
  t.match(await run('demo'), { code: 2, stderr: /the demo is in the repository/ });
  const { stdout } = await run('measure', '--self', '--dry-run', '-o', 'json');
  const paths = (JSON.parse(stdout) as { records: { path: string }[] }).records.map((record) => record.path);
  t.same(paths.slice(0, 3), [realpathSync(process.execPath), `${folder}/dist/`, `${folder}/package.json`]);
});

t.test('what the pages serve as it is lies where the program looks for it', async (t) => {
  const chunk = Object.entries(metafile.outputs).find(([, { inputs }]) => 'daemon/web/assets.ts' in inputs);
  const place = path.dirname(path.resolve(projectRoot, chunk?.[0] ?? ''));
  for (const name of ['live.js', 'pages.css', 'icon.svg'])
    t.ok(existsSync(path.join(place, 'web/assets', name)), name);
});

t.test('its gateway reaches an API server', async (t) => {
  const server = createServer((_request, response) => response.writeHead(503).end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  writeFileSync(
    path.join(folder, 'kubeconfig'),
    JSON.stringify({
      'current-context': 'a',
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
      clusters: [
        { name: 'a', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'a', user: { token: 'x' } }],
    }),
  );
  writeFileSync(
    path.join(folder, 'gateway.yaml'),
    JSON.stringify({
      apiVersion: 'surfaced.dev/v1alpha1',
      kind: 'Gateway',
      stateDir: 'state',
      registry: { folder: 'surfaces' },
      enrol: { listen: '127.0.0.1:0' },
      broker: { listen: '127.0.0.1:0' },
      health: { listen: '127.0.0.1:0' },
      cluster: { kubeconfig: 'kubeconfig' },
      log: { level: 'error' },
    }),
  );
  mkdirSync(path.join(folder, 'surfaces'));
  const asked = once(server, 'request');
  const gateway = spawn(process.execPath, [main, 'gateway', '--config', path.join(folder, 'gateway.yaml')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.teardown(() => gateway.kill('SIGKILL'));
  const ended = once(gateway, 'exit').then(([code]) => t.fail(`the gateway ended with ${code}`));
  await Promise.race([asked, ended]);
});
