/**
 * The partition table of the card: an MBR. The boot ROM of Raspberry Pi 3 and Zero 2 W reads no GPT.
 * Layout: UEFI specification 2.10, 5.2.1 (legacy master boot record); the type bytes are those that Linux and Windows use.
 */
import { sectorBytes } from '../layout.ts';

/** What a primary partition is; `fat32` is that with LBA addressing, which Windows shows. */
export type PartitionKind = 'fat32' | 'linux';

/** One primary partition; both figures are multiples of a sector. */
export interface Partition {
  readonly kind: PartitionKind;
  readonly startBytes: number;
  readonly bytes: number;
  /** The boot ROM of some boards takes the first partition that is marked so. */
  readonly isActive: boolean;
}

const types: Readonly<Record<PartitionKind, number>> = { fat32: 0x0c, linux: 0x83 };
const diskIdOffset = 440;
const entriesOffset = 446;
const entryBytes = 16;
const mostPartitions = 4;
/** Cylinder, head and sector of what lies beyond 8 GB: readers take the sector number instead. */
const beyondCylinders = Buffer.from([0xfe, 0xff, 0xff]);

/**
 * The first sector of a disk with these partitions in this order. `diskId` is of eight hexadecimal digits; Linux makes
 * the PARTUUID of partition n of it, `<diskId>-0n`.
 * @throws RangeError for more than four partitions, or one that is not of whole sectors or beyond 2 TiB
 */
export function partitionTable(diskId: string, partitions: readonly Partition[]): Buffer {
  if (!/^[0-9a-f]{8}$/.test(diskId)) throw new RangeError(`disk identifier ${diskId}: not eight digits`);
  if (partitions.length > mostPartitions) throw new RangeError('an MBR has four primary partitions at most');
  const sector = Buffer.alloc(sectorBytes);
  sector.writeUInt32LE(Number.parseInt(diskId, 16), diskIdOffset);
  for (const [index, { kind, startBytes, bytes, isActive }] of partitions.entries()) {
    const [start, count] = [startBytes / sectorBytes, bytes / sectorBytes];
    if (![start, count].every((number) => Number.isInteger(number) && number > 0 && number < 2 ** 32))
      throw new RangeError(`partition ${index + 1}: ${startBytes} and ${bytes} bytes do not fit the table`);
    const at = entriesOffset + index * entryBytes;
    sector[at] = isActive ? 0x80 : 0;
    beyondCylinders.copy(sector, at + 1);
    sector[at + 4] = types[kind];
    beyondCylinders.copy(sector, at + 5);
    sector.writeUInt32LE(start, at + 8);
    sector.writeUInt32LE(count, at + 12);
  }
  sector.writeUInt16LE(0xaa55, sectorBytes - 2);
  return sector;
}
