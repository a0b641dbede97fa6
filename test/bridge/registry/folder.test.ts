import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { checkSurface } from '../../../daemon/bridge/registry/check.ts';
import { openFolderRegistry } from '../../../daemon/bridge/registry/folder.ts';
import { createMemoryRegistry } from '../../../daemon/bridge/registry/memory.ts';
import type { Registry } from '../../../daemon/bridge/registry/types.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { silentLog } from '../../../daemon/log.ts';

const surface = (name: string, ...controls: string[]) => `apiVersion: surfaced.dev/v1alpha1
kind: ControlSurface
metadata: { name: ${name} }
spec:
  bindings:${controls.length === 0 ? ' []' : ''}
${controls
  .map(
    (control) =>
      `    - { control: ${control}, max: 9, target: { apiVersion: apps/v1, kind: Deployment, namespace: a, name: b } }\n`,
  )
  .join('')}`;

async function open(t: Test, folder: string) {
  const registry = await openFolderRegistry({ folder, log: silentLog });
  // The registry does not keep a process alive; a test that waits for it must.
  const alive = setInterval(() => undefined, 60_000);
  t.teardown(async () => {
    clearInterval(alive);
    await registry.close();
  });
  return registry;
}
/** The names of the next change. */
const change = (registry: Registry): Promise<readonly string[]> =>
  new Promise((resolve) => registry.onChange(resolve));
/** Waits until the registry looks as wanted; the folder has been changed already. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 10));
}
const names = (registry: Registry) => registry.list().map(({ metadata }) => metadata.name);

t.test('all documents of all files, hidden and other files left out', async (t) => {
  const folder = t.testdir({
    'a.yaml': `${surface('one')}---\n${surface('two', 'fader1')}`,
    'b.yml': surface('three'),
    '.hidden.yaml': surface('four'),
    'c.txt': 'no',
    'd.yaml': '# nothing\n',
  });
  const registry = await open(t, folder);
  t.same(names(registry), ['one', 'two', 'three']);
  t.equal(registry.get('two')?.spec.bindings[0]?.control, 'fader1');
  t.equal(registry.get('four'), null);
  t.same(registry.problems(), []);
});

t.test('what is no file is a problem, and holds nothing up', async (t) => {
  const folder = t.testdir({ 'a.yaml': surface('one'), 'b.yaml': {} });
  // Opening a pipe that nobody writes to would wait for ever, and no revocation would be seen any more.
  execFileSync('mkfifo', [path.join(folder, 'c.yaml')]);
  const registry = await open(t, folder);
  t.same(names(registry), ['one']);
  t.match(registry.problems(), [{ message: /b\.yaml: not a file/ }, { message: /c\.yaml: not a file/ }]);
});

t.test('changes are heard of: added, changed, removed, renamed over', async (t) => {
  const folder = t.testdir({ 'a.yaml': surface('one'), 'b.yaml': surface('two') });
  const registry = await open(t, folder);
  const file = (name: string) => path.join(folder, name);
  let heard = change(registry);
  await writeFile(file('c.yaml'), surface('three'));
  t.same(await heard, ['three']);
  heard = change(registry);
  await writeFile(file('.a.tmp'), surface('one', 'fader1'));
  await rename(file('.a.tmp'), file('a.yaml'));
  t.same(await heard, ['one']);
  heard = change(registry);
  await rm(file('b.yaml'));
  t.same(await heard, ['two']);
  t.same(names(registry), ['one', 'three']);
});

t.test('a broken file keeps its last good version and is reported until it is mended', async (t) => {
  const folder = t.testdir({ 'a.yaml': surface('one', 'fader1'), 'b.yaml': surface('two') });
  const file = path.join(folder, 'a.yaml');
  const registry = await open(t, folder);
  for (const [broken, message] of [
    [surface('one', 'Fader 1'), /a\.yaml:6:18 spec\.bindings\.0\.control: expected/],
    [
      surface('one', 'fader1', 'fader1'),
      /a\.yaml:7:18 spec\.bindings\.1\.control: fader1 in bank 0 is already/,
    ],
    ['', /empty; remove the file/],
  ] as const) {
    await writeFile(file, broken);
    await until(() => message.test(registry.problems()[0]?.message ?? ''));
    t.equal(registry.problems()[0]?.source, file);
    t.match(registry.problems()[0]?.message, /last good version stays/);
    t.same(registry.get('one')?.spec.bindings.length, 1);
    t.ok(registry.get('two'));
  }
  await writeFile(file, surface('one'));
  await until(() => registry.problems().length === 0);
  t.same(registry.get('one')?.spec.bindings, []);
});

t.test('a file that is broken from the start gives nothing but a problem', async (t) => {
  const registry = await open(t, t.testdir({ 'a.yaml': 'kind: Gateway', 'b.yaml': surface('two') }));
  t.same(names(registry), ['two']);
  t.match(registry.problems()[0]?.message, /expected "ControlSurface", got "Gateway"/);
  t.notMatch(registry.problems()[0]?.message, /last good/);
});

t.test('two with the same name: the first file counts', async (t) => {
  const folder = t.testdir({ 'b.yaml': surface('one', 'fader1'), 'a.yaml': surface('one') });
  const registry = await open(t, folder);
  t.same(registry.get('one')?.spec.bindings, []);
  t.match(registry.problems(), [{ source: /b\.yaml$/, message: /already in .*a\.yaml; left out/ }]);
});

t.test('a folder behind a link that is swapped, as Kubernetes mounts it', async (t) => {
  const folder = t.testdir({
    old: { 'a.yaml': surface('one') },
    new: { 'a.yaml': surface('one', 'fader1') },
    mount: {},
  });
  const mount = path.join(folder, 'mount');
  await symlink(path.join(folder, 'old'), path.join(mount, '..data'));
  await symlink(path.join('..data', 'a.yaml'), path.join(mount, 'a.yaml'));
  const registry = await open(t, mount);
  const heard = change(registry);
  await symlink(path.join(folder, 'new'), path.join(mount, '..data_tmp'));
  await rename(path.join(mount, '..data_tmp'), path.join(mount, '..data'));
  t.same(await heard, ['one']);
  t.equal(registry.get('one')?.spec.bindings.length, 1);
});

t.test(
  'a folder that is away for a moment cuts nobody off; one that was never there is an error',
  async (t) => {
    const folder = path.join(t.testdir({ registry: { 'a.yaml': surface('one') } }), 'registry');
    const registry = await open(t, folder);
    await rename(folder, `${folder}-away`);
    await until(() => registry.problems().length > 0);
    t.match(registry.problems()[0]?.message, /cannot be read \(ENOENT\)/);
    t.same(names(registry), ['one']);
    await t.rejects(openFolderRegistry({ folder, log: silentLog }), { code: 'E_REGISTRY' });
    await mkdir(folder);
  },
);

t.test('in memory', async (t) => {
  const parsed = (text: string) => parseConfig('ControlSurface', text, 'test');
  const registry = createMemoryRegistry([parsed(surface('one')), parsed(surface('two'))]);
  const heard = change(registry);
  registry.set([parsed(surface('two')), parsed(surface('three'))]);
  t.same(await heard, ['one', 'three']);
  t.equal(registry.get('one'), null);
  t.same(names(registry), ['two', 'three']);
  await registry.close();
  t.same(checkSurface(parsed(surface('one', 'fader1', 'fader2'))), []);
});
