import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { initialBootState, readBootStateSector } from '../../../image/boot/boot-state.ts';
import { boardProfiles } from '../../../image/card/boards.ts';
import { assemble, buildCard, makeData } from '../../../image/card/card.ts';
import { makeFat, sortedPaths } from '../../../image/card/fat.ts';
import { bootState, cardBytes, footerBytes, partitions, slotBytes } from '../../../image/layout.ts';
import { hostTools, missingPrograms } from './host-tools.ts';

const epoch = 1_790_000_000;
const mebibyte = 2 ** 20;
const hashOf = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
const profile = boardProfiles.debian;

t.test('pieces lie where they should, and what is empty is a hole', async (t) => {
  const folder = t.testdir();
  const piece = path.join(folder, 'piece');
  // Not a multiple of a block, with a hole in the middle and zeros at the end.
  const content = Buffer.alloc(9 * mebibyte + 1_000);
  content.fill(7, 0, 5_000);
  content.fill(9, 8 * mebibyte - 10, 8 * mebibyte + 10);
  content[content.length - 1] = 1;
  await writeFile(piece, content);
  const output = path.join(folder, 'card');
  await assemble(output, 40 * mebibyte, [
    { startBytes: 0, content: Buffer.from('first') },
    { startBytes: 4 * mebibyte, file: piece },
  ]);
  const card = await readFile(output);
  t.equal(card.length, 40 * mebibyte);
  t.equal(card.subarray(0, 5).toString(), 'first');
  t.ok(card.subarray(4 * mebibyte, 4 * mebibyte + content.length).equals(content));
  t.ok(card.subarray(14 * mebibyte).equals(Buffer.alloc(26 * mebibyte)));
  const { blocks } = await stat(output);
  t.ok(blocks * 512 < mebibyte, `${blocks * 512} bytes on the disk`);
});

t.test(
  'FAT: names in order, times of the commit, the same bytes twice',
  {
    skip: missingPrograms('mkfs.vfat', 'mmd', 'mcopy', 'mdir', 'mtype'),
  },
  async (t) => {
    const folder = t.testdir({
      'b.txt': 'two',
      'a.txt': 'one',
      overlays: { 'z.dtbo': 'z', 'A long name, and odd.dtbo': 'y' },
      empty: {},
    });
    const outputs = [t.testdirName, t.testdirName].map((name, index) => `${name}-${index}.fat`);
    t.teardown(async () => {
      for (const output of outputs) await rm(output, { force: true });
    });
    for (const [index, output] of outputs.entries()) {
      // As they would be in another checkout.
      await utimes(path.join(folder, 'a.txt'), index, 1_000_000 + index);
      await makeFat({
        tools: hostTools,
        folder,
        output,
        bytes: 40 * mebibyte,
        label: 'SURFACED',
        volumeId: '5afec0de',
        epoch,
      });
    }
    const [one = '', other = ''] = outputs;
    t.equal(await hashOf(one), await hashOf(other));
    const listing = await hostTools.run('mdir', ['-i', one, '-/', '-b', '::/']);
    t.same(listing.trim().split('\n'), [
      '::/empty/',
      '::/overlays/',
      '::/a.txt',
      '::/b.txt',
      '::/overlays/A long name, and odd.dtbo',
      '::/overlays/z.dtbo',
    ]);
    const full = await hostTools.run('mdir', ['-i', one, '::/']);
    t.match(full, /Volume in drive : is SURFACED/);
    t.match(full, /Serial Number is 5AFE-C0DE/);
    t.same(
      full.split('\n').filter((line) => /\d{4}-\d\d-\d\d/.test(line) && !line.includes('2026-09-21  14:13')),
      [],
      'all times are that of the commit',
    );
    t.equal(await hostTools.run('mtype', ['-i', one, '::/a.txt']), 'one');
  },
);

t.test('FAT: what it cannot hold', async (t) => {
  const folder = t.testdir({ link: t.fixture('symlink', 'elsewhere') });
  await t.rejects(sortedPaths(folder), { code: 'E_IMAGE_STEP', message: /link is neither file nor folder/ });
});

t.test(
  'data partition: the same bytes twice',
  { skip: missingPrograms('mke2fs', 'e2fsck', 'dumpe2fs') },
  async (t) => {
    const folder = t.testdir();
    const [one, other] = [path.join(folder, 'one'), path.join(folder, 'other')];
    for (const output of [one, other]) await makeData(hostTools, output, partitions.data.bytes, epoch);
    t.equal(await hashOf(one), await hashOf(other));
    await hostTools.run('e2fsck', ['-fn', one]);
    const said = await hostTools.run('dumpe2fs', ['-h', one]);
    t.match(said, /Filesystem volume name: {3}surfaced-data/);
    t.match(said, /Filesystem created: {7}Mon Sep 21 14:13:20 2026/);
    t.match(said, /has_journal/, 'power is pulled');
    t.match(said, /resize_inode/, 'it grows to the card');
  },
);

/** A root file system with as much as the firmware partition needs. */
async function makeRoot(folder: string): Promise<string> {
  const root = path.join(folder, 'root');
  const files: Record<string, string> = {
    'usr/lib/u-boot/rpi_arm64/u-boot.bin': 'program\0bootcmd=bootflow scan\0bootdelay=2\0\0',
    'usr/share/doc/raspi-firmware/copyright': 'of the firmware',
    'usr/share/doc/u-boot-rpi/copyright': 'of U-Boot',
  };
  for (const name of profile.firmware) files[`usr/lib/raspi-firmware/${name}`] = `firmware ${name}`;
  for (const { deviceTree } of profile.boards)
    files[`usr/lib/linux-image-6.12.0/broadcom/${deviceTree}`] = `tree ${deviceTree}`;
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  return root;
}

t.test(
  'a card with a small slot',
  {
    skip: missingPrograms('mkfs.vfat', 'mmd', 'mcopy', 'mdir', 'mke2fs', 'dtc', 'mtype'),
  },
  async (t) => {
    const folder = t.testdir();
    const root = await makeRoot(folder);
    const [slot, bootScript] = [path.join(folder, 'slot'), path.join(folder, 'boot.scr')];
    await writeFile(slot, 'the slot');
    await truncate(slot, slotBytes);
    await writeFile(bootScript, 'the script');
    const build = (output: string): Promise<void> =>
      buildCard({ toolbox: hostTools, profile, slot, root, bootScript, epoch, output });
    const [one, other] = [path.join(folder, 'one.img'), path.join(folder, 'other.img')];
    await build(one);
    await build(other);

    const card = await open(one, 'r');
    t.teardown(() => card.close());
    const read = async (position: number, bytes: number): Promise<Buffer> =>
      (await card.read(Buffer.alloc(bytes), 0, bytes, position)).buffer;
    const { size, blocks } = await card.stat();
    t.equal(size, cardBytes);
    t.ok(blocks * 512 < 16 * mebibyte, `${blocks * 512} bytes on the disk`);
    for (const position of bootState.copies)
      t.same(readBootStateSector(await read(position, bootState.bytes)), initialBootState);
    t.equal((await read(partitions.slotA.startBytes, 8)).toString(), 'the slot');
    const end = partitions.slotB.startBytes + slotBytes - footerBytes;
    t.ok(
      (await read(end, footerBytes)).equals(Buffer.alloc(footerBytes)),
      'slot b has no footer: it is none',
    );
    t.equal((await read(partitions.data.startBytes + 1024 + 56, 2)).readUInt16LE(), 0xef53, 'ext4');

    const at = `${one}@@${partitions.firmware.startBytes}`;
    const listing = await hostTools.run('mdir', ['-i', at, '-/', '-b', '::/']);
    const names = listing
      .trim()
      .split('\n')
      .map((line) => line.replace('::/', ''));
    const wanted = [
      ...profile.firmware,
      ...profile.boards.map(({ deviceTree }) => deviceTree),
      ...profile.overlays.map(({ name }) => `overlays/${name}.dtbo`),
      ...['config.txt', 'u-boot.bin', 'uboot.env', 'boot.scr', 'README.txt', 'surfaced.yaml.example'],
      ...['overlays/', 'licences/', 'licences/raspi-firmware.txt', 'licences/u-boot-rpi.txt'],
    ];
    t.same(names.toSorted(), wanted.toSorted());
    t.match(await hostTools.run('mtype', ['-i', at, '::/README.txt']), /^surfaced: [^\n]*\r\n=+\r\n/);

    const second = await open(other, 'r');
    t.teardown(() => second.close());
    // All but the slots: they are files that are copied.
    for (const [position, bytes] of [
      [0, partitions.slotA.startBytes],
      [partitions.data.startBytes, partitions.data.bytes],
    ] as const) {
      const { buffer } = await second.read(Buffer.alloc(bytes), 0, bytes, position);
      t.ok(buffer.equals(await read(position, bytes)), 'two cards of the same inputs are the same');
    }

    await truncate(slot, slotBytes - 1);
    await t.rejects(build(one), { code: 'E_IMAGE_STEP', message: /a slot has 671088640 bytes/ });
    await truncate(slot, slotBytes);
    await rm(path.join(root, 'usr/lib/raspi-firmware/start4.elf'));
    await t.rejects(build(one), { code: 'E_IMAGE_STEP', message: /start4\.elf: the card needs this file/ });
  },
);
