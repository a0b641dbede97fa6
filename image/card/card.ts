/**
 * The card: partition table, boot state, firmware partition, slot a, an empty slot b and an empty data partition, in one
 * file of `cardBytes`. No loop devices, no mounts; the same inputs give the same bytes.
 */
import { mkdtemp, open, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import { bootStateSector, initialBootState } from '../boot/boot-state.ts';
import { bootState, cardBytes, diskId, partitions, slotBytes } from '../layout.ts';
import type { BoardProfile } from './boards.ts';
import { makeFat, type Tools } from './fat.ts';
import { fillFirmwarePartition } from './firmware-partition.ts';
import { partitionTable } from './partition-table.ts';
import { copySparse } from './sparse.ts';

/** FAT volume id of the firmware partition, shown as 5AFE-C0DE. */
const volumeId = '5afec0de';
const dataUuid = '50a7face-0000-4000-8000-00000000da7a';

/** The four partitions as the table has them. */
export const cardPartitions = [
  { ...partitions.firmware, kind: 'fat32', isActive: true },
  { ...partitions.slotA, kind: 'linux', isActive: false },
  { ...partitions.slotB, kind: 'linux', isActive: false },
  { ...partitions.data, kind: 'linux', isActive: false },
] as const;

/** Something that lies on the card from byte `startBytes` on. */
export type Piece = { readonly startBytes: number } & (
  | { readonly file: string }
  | { readonly content: Buffer }
);

/** Writes a file of `bytes` bytes with these pieces; the rest is holes. It gets its name when it is complete. */
export async function assemble(output: string, bytes: number, pieces: readonly Piece[]): Promise<void> {
  const unfinished = `${output}.unfinished`;
  await writeFile(unfinished, '');
  await truncate(unfinished, bytes);
  const target = await open(unfinished, 'r+');
  try {
    for (const piece of pieces) {
      if ('content' in piece) await target.write(piece.content, 0, piece.content.length, piece.startBytes);
      else await copySparse(piece.file, target, piece.startBytes);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  await rename(unfinished, output);
}

/** The data partition as it is shipped: an empty ext4 that can be grown to 512 GiB. */
export async function makeData(tools: Tools, output: string, bytes: number, epoch: number): Promise<void> {
  const blockBytes = 4_096;
  await writeFile(output, '');
  await truncate(output, bytes);
  const extended = [
    `hash_seed=${dataUuid}`,
    'root_owner=0:0',
    'lazy_itable_init=0',
    'lazy_journal_init=0',
    // Room for the group descriptors of a large card; else the first growth would have to move blocks.
    `resize=${2 ** 39 / blockBytes}`,
  ].join(',');
  await tools.run(
    'mke2fs',
    [
      ...['-q', '-F', '-t', 'ext4', '-b', String(blockBytes), '-m', '0', '-I', '256', '-U', dataUuid],
      // Inodes for each group of 128 MiB: state is few files.
      ...['-N', '2048', '-L', partitions.data.label, '-O', '^metadata_csum_seed', '-E', extended, output],
    ],
    // The second is what e2fsprogs before 1.47.1 knows.
    {
      binds: [path.dirname(output)],
      env: { SOURCE_DATE_EPOCH: String(epoch), E2FSPROGS_FAKE_TIME: String(epoch) },
    },
  );
}

/**
 * Builds the card of a profile. `slot` is the image of slot a, of exactly `slotBytes`; `root` the root file system that
 * it was made of, from which firmware, U-Boot and device trees come; `epoch` (seconds) is the time of all files.
 * Rejects with E_IMAGE_STEP when a step fails or an input is not what it should be.
 */
export async function buildCard({
  toolbox,
  profile,
  slot,
  root,
  bootScript,
  epoch,
  output,
}: {
  /** The toolbox, or another that has mkfs.vfat, mtools, mke2fs and dtc. */
  readonly toolbox: Tools;
  readonly profile: BoardProfile;
  readonly slot: string;
  readonly root: string;
  readonly bootScript: string;
  readonly epoch: number;
  readonly output: string;
}): Promise<void> {
  const { size } = await stat(slot);
  if (size !== slotBytes)
    throw new SurfacedError('E_IMAGE_STEP', `${slot}: a slot has ${slotBytes} bytes, this has ${size}`);
  const scratch = await mkdtemp(path.join(path.dirname(output), '.card-'));
  try {
    const [folder, fat, data] = ['firmware', 'firmware.fat', 'data.ext4'].map((name) =>
      path.join(scratch, name),
    );
    if (folder === undefined || fat === undefined || data === undefined) return;
    await fillFirmwarePartition({ tools: toolbox, profile, root, bootScript, folder });
    const { label, bytes } = partitions.firmware;
    await makeFat({ tools: toolbox, folder, output: fat, bytes, label, volumeId, epoch });
    await makeData(toolbox, data, partitions.data.bytes, epoch);
    const state = bootStateSector(initialBootState);
    await assemble(output, cardBytes, [
      { startBytes: 0, content: partitionTable(diskId, cardPartitions) },
      ...bootState.copies.map((startBytes) => ({ startBytes, content: state })),
      { startBytes: partitions.firmware.startBytes, file: fat },
      { startBytes: partitions.slotA.startBytes, file: slot },
      { startBytes: partitions.data.startBytes, file: data },
    ]);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
