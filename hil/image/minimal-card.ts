/**
 * A small card for the checks of the boot: laid out as `image/layout.ts` says, its firmware partition has nothing but the
 * boot script, and the boards' firmware is not on it.
 */
import { mkdtemp, open, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import type { BootState } from '../../image/boot/boot-state.ts';
import { bootStateSector } from '../../image/boot/boot-state.ts';
import { bootState, cardBytes, diskId, partitions, sectorBytes } from '../../image/layout.ts';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';

/** FAT32 with LBA; Linux. */
const types = { firmware: 0x0c, slotA: 0x83, slotB: 0x83, data: 0x83 } as const;

/** The first sector: partition table of the MBR, disk identifier. */
function masterBootRecord(): Buffer {
  const sector = Buffer.alloc(sectorBytes);
  sector.writeUInt32LE(Number.parseInt(diskId, 16), 440);
  for (const [name, { number, startBytes, bytes }] of Object.entries(partitions)) {
    const at = 446 + 16 * (number - 1);
    sector[at] = name === 'firmware' ? 0x80 : 0;
    sector[at + 4] = types[name as keyof typeof types];
    sector.writeUInt32LE(startBytes / sectorBytes, at + 8);
    sector.writeUInt32LE(bytes / sectorBytes, at + 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** What a card of the checks is made of. */
export interface MinimalCard {
  readonly toolbox: Toolbox;
  readonly bootScript: string;
  /** Files of slots; null: nothing is written there. */
  readonly slots: { readonly a: string | null; readonly b: string | null };
  readonly state: BootState | null;
  /** Files of the firmware partition beside the boot script, by name. */
  readonly files: Readonly<Record<string, string>>;
  readonly output: string;
}

/** Writes a card, sparse; its data partition is empty, as after a broken card. */
export async function makeMinimalCard({
  toolbox,
  bootScript,
  slots,
  state,
  files,
  output,
}: MinimalCard): Promise<void> {
  await rm(output, { force: true });
  const card = await open(output, 'w');
  try {
    await card.truncate(cardBytes);
    await card.write(masterBootRecord(), 0, sectorBytes, 0);
    for (const copy of bootState.copies)
      if (state !== null) await card.write(bootStateSector(state), 0, sectorBytes, copy);
  } finally {
    await card.close();
  }
  const folder = path.dirname(output);
  const work = await mkdtemp(path.join(folder, '.card-'));
  const inputs = [bootScript, slots.a, slots.b].flatMap((file) =>
    file === null ? [] : [path.dirname(file)],
  );
  const run = (command: string, ...args: string[]) =>
    toolbox.run(command, args, { binds: [folder, ...inputs] });
  const put = (file: string, at: number) =>
    run(
      'dd',
      `if=${file}`,
      `of=${output}`,
      'bs=1M',
      `seek=${at}`,
      'oflag=seek_bytes',
      'conv=notrunc,sparse',
      'status=none',
    );
  try {
    const fat = path.join(work, 'fat');
    await (await open(fat, 'w')).close();
    await truncate(fat, partitions.firmware.bytes);
    await run('mkfs.vfat', '-F', '32', '-n', partitions.firmware.label, fat);
    await run('mcopy', '-i', fat, bootScript, '::/boot.scr');
    for (const [name, text] of Object.entries(files))
      await toolbox.run('mcopy', ['-i', fat, '-', `::/${name}`], { binds: [folder], input: text });
    await put(fat, partitions.firmware.startBytes);
    if (slots.a !== null) await put(slots.a, partitions.slotA.startBytes);
    if (slots.b !== null) await put(slots.b, partitions.slotB.startBytes);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
