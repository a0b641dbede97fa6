import fc from 'fast-check';
import t from 'tap';
import { cardPartitions } from '../../../image/card/card.ts';
import { partitionTable } from '../../../image/card/partition-table.ts';
import {
  bootState,
  cardBytes,
  diskId,
  footerBytes,
  partitions,
  sectorBytes,
  slotBytes,
  slotDataBytes,
} from '../../../image/layout.ts';

const mebibyte = 2 ** 20;

t.test('the table of the card, byte by byte', async (t) => {
  const sector = partitionTable(diskId, cardPartitions);
  t.equal(sector.length, 512);
  t.ok(sector.subarray(0, 440).equals(Buffer.alloc(440)), 'no code: the boot ROM of a Pi runs none');
  t.equal(sector.subarray(440, 446).toString('hex'), 'cefaa7500000', '50a7face, the low byte first');
  t.same(
    [446, 462, 478, 494].map((at) => sector.subarray(at, at + 16).toString('hex')),
    [
      // active, CHS of no use, FAT32 with LBA, first sector 0x2000, 0x30000 sectors
      '80feffff0cfeffff0020000000000300',
      '00feffff83feffff0020030000001400',
      '00feffff83feffff0020170000001400',
      '00feffff83feffff00202b0000200100',
    ],
  );
  t.equal(sector.subarray(510).toString('hex'), '55aa');
});

t.test('what no table can hold is refused', async (t) => {
  const some = { kind: 'linux', startBytes: mebibyte, bytes: mebibyte, isActive: false } as const;
  t.throws(() => partitionTable('50A7FACE', []), RangeError);
  t.throws(() => partitionTable(diskId, Array(5).fill(some)), /four primary/);
  t.throws(() => partitionTable(diskId, [{ ...some, startBytes: mebibyte + 1 }]), /partition 1/);
  t.throws(() => partitionTable(diskId, [some, { ...some, bytes: 0 }]), /partition 2/);
  t.throws(() => partitionTable(diskId, [{ ...some, bytes: 2 ** 41 }]), /do not fit/);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      (start, count) => {
        const table = partitionTable(diskId, [
          { kind: 'linux', startBytes: start * sectorBytes, bytes: count * sectorBytes, isActive: false },
        ]);
        return table.readUInt32LE(454) === start && table.readUInt32LE(458) === count;
      },
    ),
  );
});

t.test('the layout: nothing overlaps, all is aligned, the boot state lies in the gap', async (t) => {
  const places = [partitions.firmware, partitions.slotA, partitions.slotB, partitions.data];
  let end = 0;
  for (const [index, { number, startBytes, bytes }] of places.entries()) {
    t.equal(number, index + 1);
    t.equal(startBytes % (4 * mebibyte), 0, 'cards erase in pieces of 4 MiB');
    t.ok(startBytes >= end, `partition ${number} begins after what is before it`);
    end = startBytes + bytes;
  }
  t.ok(end <= cardBytes);
  t.equal(partitions.slotA.bytes, partitions.slotB.bytes);
  t.ok(slotDataBytes < slotBytes - footerBytes);
  // The hash tree: 32 bytes for each block, and the blocks of that in turn; veritysetup(8).
  let tree = 0;
  for (let blocks = slotDataBytes / 4096; blocks > 1; tree += blocks)
    blocks = Math.ceil((blocks * 32) / 4096);
  t.ok(slotDataBytes + tree * 4096 <= slotBytes - footerBytes, `a tree of ${tree} blocks has room`);
  const [one, other] = bootState.copies;
  t.ok(
    one >= sectorBytes && one + bootState.bytes <= other,
    'the copies do not meet each other or the table',
  );
  t.ok(other + bootState.bytes <= partitions.firmware.startBytes);
});
