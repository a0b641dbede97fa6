import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { compareVersions, versionPattern } from '../../../daemon/version.ts';
import { diskId, partitions } from '../../../image/layout.ts';
import { compatible } from '../../../image/update/bundle.ts';
import { image, normal, Sandbox, scripts, transaction } from './sandbox.ts';

const box = new Sandbox('1.2.0');
t.teardown(() => box.end());
const before = (version: string, more: Record<string, string> = {}) =>
  box.handler('pre-install', box.environment(version, more));

t.test('before an installation: newer and the same are let in, older not', async (t) => {
  t.match(before('1.3.0'), { status: 0, said: '' });
  t.match(before('1.2.0'), { status: 0 });
  t.match(before('1.1.9'), { status: 10, said: '<< error 1.1.9 is older than 1.2.0, which runs' });
  t.match(before('1.2.0-rc.1'), { status: 10 });
});

t.test('versions are compared as everywhere else', async (t) => {
  const number = fc.integer({ min: 0, max: 12 });
  const word = fc.constantFrom(
    '',
    '-alpha',
    '-alpha.1',
    '-alpha.beta',
    '-rc.1',
    '-rc.2',
    '-rc.11',
    '-rc',
    '-1',
    '-RC.1',
    '-rc-1',
    '-2.x',
  );
  const version = fc.tuple(number, number, number, word).map(([a, b, c, rest]) => `${a}.${b}.${c}${rest}`);
  const pair = fc.tuple(version, version, fc.boolean(), word).map(([one, other, isNear, rest]) => ({
    one,
    // Often the same numbers: there the words count.
    other: isNear ? `${one.split('-')[0]}${rest}` : other,
  }));
  fc.assert(
    fc.property(pair, ({ one, other }) => {
      t.ok(versionPattern.test(one));
      box.runs(other, '11'.repeat(32));
      return (before(one).status === 10) === compareVersions(one, other) < 0;
    }),
    { numRuns: 40 },
  );
  box.runs('1.2.0', '11'.repeat(32));
});

t.test('an older one, when root has said so for this very installation', async (t) => {
  const order = box.at(`run/surfaced-update/${transaction}`);
  writeFileSync(order, `image=${image}\nallow-downgrade=yes\n`);
  t.match(before('1.1.0'), { status: 0 });
  t.match(
    before('1.1.0', { RAUC_TRANSACTION_ID: transaction.replace('5', '6') }),
    { status: 10 },
    'another installation',
  );
  t.match(before('1.1.0', { RAUC_TRANSACTION_ID: `../surfaced-update/${transaction}` }), { status: 10 });
  t.match(before('1.3.0', { RAUC_IMAGE_DIGEST_2: 'ef'.repeat(32) }), { status: 12 }, 'another image');
  writeFileSync(order, `image=${image}\nallow-downgrade=no\n`);
  t.match(before('1.1.0'), { status: 10 });
});

t.test('nothing while an update is on trial or waits for a restart', async (t) => {
  const cases = [
    [{ running: 'a', good: 'a', trial: '', left: 0 }, 'none'],
    [{ running: 'b', good: 'b', trial: '', left: 0 }, 'none'],
    [{ running: 'a', good: 'a', trial: 'b', left: 3 }, 'waits'],
    [{ running: 'b', good: 'b', trial: 'a', left: 3 }, 'waits'],
    [{ running: 'b', good: 'a', trial: 'b', left: 2 }, 'trial'],
    [{ running: 'b', good: 'a', trial: 'b', left: 0 }, 'trial'],
    [{ running: 'a', good: 'b', trial: 'a', left: 1 }, 'trial'],
    // It was tried three times and left.
    [{ running: 'a', good: 'a', trial: 'b', left: 0 }, 'none'],
  ] as const;
  for (const [boot, expected] of cases) {
    box.boot(boot);
    t.equal(box.trial(), expected, JSON.stringify(boot));
    t.equal(before('1.3.0').status, expected === 'none' ? 0 : 11);
  }
  box.boot(normal);
});

t.test('what says too little is refused', async (t) => {
  t.match(before(''), { status: 13 });
  t.match(before('1.3.0; reboot'), { status: 13 });
  t.match(before('1.3.0\nallow'), { status: 13 }, 'two lines');
  t.match(before('1.3.0', { RAUC_META_SURFACED_ROOT_HASH: 'ab' }), { status: 13 });
  t.match(before('1.3.0', { RAUC_TARGET_SLOTS: '1 2' }), { status: 13 });
  writeFileSync(box.at('etc/os-release'), 'NAME=other\n');
  t.match(before('1.3.0'), { status: 14 });
  box.runs('1.2.0', '11'.repeat(32));
  writeFileSync(box.at('usr/lib/surfaced/boot-state'), '#!/bin/sh\nexit 1\n');
  t.not(before('1.3.0').status, 0, 'a boot state that cannot be read lets nothing in');
});

t.test('after an installation', async (t) => {
  const box = new Sandbox('1.2.0');
  t.teardown(() => box.end());
  const after = (more: Record<string, string> = {}) =>
    box.handler('post-install', box.environment('1.3.0', more));
  for (const slot of ['a', 'b']) {
    mkdirSync(box.at(`data/slot-${slot}/deep/.hidden`), { recursive: true });
    writeFileSync(box.at(`data/slot-${slot}/deep/file`), 'old');
  }
  writeFileSync(box.at('data/shared/kept'), 'kept');
  symlinkSync(box.at('data/shared'), box.at('data/slot-b/link'));
  writeFileSync(box.at('data/shared/update/last-failure.json'), '{}');
  t.match(after(), { status: 0, said: '' });
  t.same(readdirSync(box.at('data/slot-b')), [], 'what an old version left in the slot is gone');
  t.equal(box.read('data/slot-a/deep/file'), 'old', 'that of the version that runs is not');
  t.equal(box.read('data/shared/kept'), 'kept', 'no link was followed');
  t.same(JSON.parse(box.read('data/shared/update/last-update.json')), {
    ...{ version: '1.3.0', rootHash: 'ab'.repeat(32), slot: 'b', from: '1.2.0' },
  });
  t.notOk(existsSync(box.at('data/shared/update/last-failure.json')));
  t.equal(box.trial(), 'waits', 'now, and not before, the next start tries it');

  box.boot(normal);
  t.match(after({ RAUC_SLOT_BOOTNAME_2: 'a' }), { status: 1, said: /slot a runs/ });
  t.match(after({ RAUC_SLOT_BOOTNAME_2: '../x' }), { status: 1 });
  t.equal(box.trial(), 'none');
  t.equal(box.read('data/slot-a/deep/file'), 'old');
});

t.test('a step that fails leaves the boot state as it is', async (t) => {
  const box = new Sandbox('1.2.0');
  t.teardown(() => box.end());
  // A file where a folder must be: as good as a disk that is full, also for root.
  writeFileSync(box.at('data/slot-b'), '');
  mkdirSync(box.at('data/shared/update/last-update.json.new'));
  t.not(box.handler('post-install', box.environment('1.3.0')).status, 0);
  t.equal(box.trial(), 'none');
});

t.test('scripts are plain', async (t) => {
  for (const name of readdirSync(scripts))
    t.match(readFileSync(`${scripts}/${name}`, 'utf8'), /^#!\/bin\/sh\n[\s\S]*\nset -eu\n/);
});

t.test('configuration of RAUC and layout of the card agree', async (t) => {
  const files = new URL('../../../image/root/files/', import.meta.url);
  const text = readFileSync(new URL('etc/rauc/system.conf', files), 'utf8');
  t.match(text, new RegExp(`^compatible=${compatible}$`, 'm'));
  for (const [index, slot] of [partitions.slotA, partitions.slotB].entries())
    t.match(
      text,
      `[slot.rootfs.${index}]\ndevice=/dev/disk/by-partuuid/${diskId}-0${slot.number}\ntype=raw\nbootname=${'ab'[index]}\n`,
    );
  for (const [, handler = ''] of text.matchAll(/^[a-z-]+=(\/usr\/lib\/surfaced\/update\/.*)$/gm))
    t.ok(existsSync(new URL(`.${handler}`, files)), handler);
});
