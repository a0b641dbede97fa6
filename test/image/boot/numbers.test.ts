/** Numbers and names of the layout that scripts of the boot have to say again. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { bootState, diskId, footerBytes, partitions, sectorBytes } from '../../../image/layout.ts';

const textOf = (name: string): string =>
  readFileSync(new URL(`../../../image/${name}`, import.meta.url), 'utf8');
const bootScript = textOf('boot/boot.cmd');
const bootStateProgram = textOf('root/files/usr/lib/surfaced/boot-state');
const disk = textOf('boot/initramfs/lib/surfaced/disk.sh');
const data = textOf('boot/initramfs/lib/surfaced/data.sh');

t.test('boot script', async (t) => {
  for (const offset of bootState.copies) {
    const sector = `0x${(offset / sectorBytes).toString(16)}`;
    t.match(bootScript, `read \${sd_state} ${sector} 1`);
    t.match(bootScript, `write \${sd_state} ${sector} 1`);
  }
  t.match(bootScript, `-c \${sd_state} 0x${bootState.bytes.toString(16)} good trial left`);
  t.match(
    bootScript,
    new RegExp(`sd_part ${partitions.slotA.number}\\n.*= b; then setenv sd_part ${partitions.slotB.number};`),
  );
  for (let left = bootState.tries; left > 0; left--)
    t.match(bootScript, `= ${left}; then setenv sd_left ${left - 1};`);
});

t.test('boot state', async (t) => {
  t.match(bootStateProgram, `copies='${bootState.copies.map((offset) => offset / sectorBytes).join(' ')}'`);
  t.match(bootStateProgram, `\ntries=${bootState.tries}\n`);
  t.match(bootStateProgram, `\ndisk_id=${diskId}\n`);
  const ends = [partitions.slotA, partitions.slotB].map(
    ({ startBytes, bytes }) => (startBytes + bytes) / 2 ** 20,
  );
  t.match(bootStateProgram, `end=${ends[0]}\n`);
  t.match(bootStateProgram, `end=${ends[1]}\n`);
  t.equal(footerBytes, 4096);
});

t.test('initramfs', async (t) => {
  t.match(disk, `\ndisk_id=${diskId}\n`);
  t.match(disk, `\${partition}${partitions.data.number}`);
  t.match(data, `-L ${partitions.data.label} `);
  t.match(data, `/dev/\${partition}${partitions.firmware.number}"`);
});
