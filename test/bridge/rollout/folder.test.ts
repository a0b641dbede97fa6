import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { openUpdatesFolder, type UpdatesFolder } from '../../../daemon/bridge/rollout/folder.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import { readBundle } from '../../../daemon/update/bundle.ts';
import { makeBundle, makeBundleSigner, noOpenssl } from './bundles.ts';

const rollout = (name: string, version = '1.2.0'): string =>
  `apiVersion: surfaced.dev/v1alpha1\nkind: Rollout\nmetadata: { name: ${name} }\nspec: { version: ${version} }\n`;

async function open(t: Test, folder: string, trusted: string): Promise<UpdatesFolder> {
  const opened = await openUpdatesFolder({
    folder,
    readBundle: async (file) => {
      const bundle = await readBundle(file, { trusted, at: new Date() });
      return { ...bundle, signer: bundle.signer.name };
    },
    log: silentLog,
  });
  t.teardown(() => opened.close());
  return opened;
}

/** Resolves at the next change; a watch keeps no process alive by itself. */
function changed(folder: UpdatesFolder): Promise<void> {
  const waiting = setInterval(() => undefined, 1000);
  return new Promise((resolve) => {
    folder.onChange(() => {
      clearInterval(waiting);
      resolve();
    });
  });
}

t.test('bundles count as they are, by signer and by name', { skip: noOpenssl }, async (t) => {
  const folder = path.join(t.testdir({}), 'updates');
  mkdirSync(folder);
  const signer = makeBundleSigner(path.join(t.testdirName, 'keys'));
  const stranger = makeBundleSigner(path.join(t.testdirName, 'other'));
  const trusted = readFileSync(signer.authority, 'utf8');
  const beside = path.join(t.testdirName, 'new.raucb');
  makeBundle(path.join(folder, '1.2.0.raucb'), signer, { version: '1.2.0' });
  makeBundle(path.join(folder, '1.3.0.raucb'), stranger, { version: '1.3.0' });
  makeBundle(path.join(folder, '1.4.0.raucb'), signer, { version: '1.4.1' });
  makeBundle(path.join(folder, 'latest.raucb'), signer, { version: '1.5.0' });
  writeFileSync(path.join(folder, '1.6.0.raucb'), 'not a bundle');
  const opened = await open(t, folder, trusted);
  t.same(
    opened.offers().map(({ version }) => version),
    ['1.2.0'],
  );
  const problems = opened.problems().map(({ source, message }) => `${path.basename(source)} ${message}`);
  t.equal(problems.length, 4);
  for (const pattern of [
    /^1\.3\.0.*who is not trusted/,
    /^1\.4\.0.*is a bundle of 1\.4\.1/,
    /^latest.*expected <version>/,
    /^1\.6\.0.*too short/,
  ])
    t.ok(
      problems.some((problem) => pattern.test(problem)),
      String(pattern),
    );
  const isAdded = changed(opened);
  makeBundle(beside, signer, { version: '2.0.0' });
  renameSync(beside, path.join(folder, '2.0.0.raucb'));
  await isAdded;
  t.equal(opened.offer('2.0.0')?.version, '2.0.0');
  const isGone = changed(opened);
  rmSync(path.join(folder, '1.2.0.raucb'));
  await isGone;
  t.equal(opened.offer('1.2.0'), null, 'what is gone is not offered any more');
});

t.test(
  'what was refused by its dates, or by a clock that was not set yet, is judged anew; what is broken is not',
  async (t) => {
    const folder = t.testdir({ '1.2.0.raucb': 'x', '1.3.0.raucb': 'x' });
    // Files that are old enough to be known again.
    const { now } = Date;
    Date.now = () => now() + 10_000;
    t.teardown(() => {
      Date.now = now;
    });
    let isClockSet = false;
    const read: string[] = [];
    const opened = await openUpdatesFolder({
      folder,
      readBundle: async (file) => {
        const version = path.basename(file, '.raucb');
        read.push(version);
        if (version === '1.3.0') throw new SurfacedError('E_UPDATE_BUNDLE', 'too short');
        if (!isClockSet) throw new SurfacedError('E_UPDATE_SIGNER', 'valid from 2026 on, judged too early');
        return { version, bytes: 1, manifestSha256: '', references: '', signer: '' };
      },
      log: silentLog,
    });
    t.teardown(() => opened.close());
    t.equal(opened.offer('1.2.0'), null);
    t.match(opened.problems()[0], { message: /judged too early/ });
    isClockSet = true;
    const isAdded = changed(opened);
    writeFileSync(path.join(folder, 'a.yaml'), rollout('spring'));
    await isAdded;
    t.equal(opened.offer('1.2.0')?.version, '1.2.0');
    t.equal(read.filter((version) => version === '1.3.0').length, 1, 'as long as its file is the same');
  },
);

t.test('a rollout that is broken by an edit stays as it was', async (t) => {
  const folder = t.testdir({ 'a.yaml': rollout('spring'), 'b.yaml': rollout('spring', '9.9.9') });
  const opened = await open(t, folder, '');
  t.same(
    opened.rollouts().map(({ spec }) => spec.version),
    ['1.2.0'],
  );
  t.match(opened.problems()[0]?.message, /already in .*a\.yaml/);
  const isChanged = changed(opened);
  writeFileSync(path.join(folder, 'c.yaml'), `${rollout('summer')}---\n${rollout('autumn')}`);
  await isChanged;
  t.equal(opened.rollouts().length, 3);
  const isNext = changed(opened);
  writeFileSync(path.join(folder, 'a.yaml'), rollout('spring').replace('1.2.0', 'next'));
  rmSync(path.join(folder, 'c.yaml'));
  await isNext;
  t.same(
    opened.rollouts().map(({ metadata, spec }) => `${metadata.name} ${spec.version}`),
    ['spring 1.2.0'],
  );
  t.match(opened.problems()[0]?.message, /a\.yaml:4:18 spec\.version: .*\nthe last good version stays/);
});

t.test('a folder that cannot be read ends the start', async (t) => {
  const folder = path.join(t.testdir({}), 'none');
  await t.rejects(open(t, folder, ''), { code: 'E_ROLLOUT', message: /updates\.folder: .*ENOENT/ });
});
