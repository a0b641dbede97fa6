/**
 * How the card is laid out, in one place: what builds it, what boots it and what updates it agree on these numbers and
 * names. Shell parts (boot script, initramfs, units) repeat some of them; test/image/layout.test.ts compares.
 */

/** Bytes of a sector, as the partition table counts. */
export const sectorBytes = 512;
const mebibyte = 2 ** 20;

/** MBR disk identifier: partitions are found by PARTUUID `50a7face-01` to `-04` (bus and port differ between boards). */
export const diskId = '50a7face';

/** One slot: a file system, its hash tree and a footer that says where they are, always of this size. */
export const slotBytes = 640 * mebibyte;
/** The file system of a slot, ext4 without journal, read-only; the hash tree of dm-verity follows it. */
export const slotDataBytes = 632 * mebibyte;
/** The last block of a slot: text, see `footerText`. Not covered by the hash tree, as it holds its root. */
export const footerBytes = 4096;

/** The four primary partitions. Raspberry Pi 3 and Zero 2 W read no GPT. */
export const partitions = {
  /** FAT32, `/boot/firmware`: firmware, U-Boot, device trees, boot script, and the files of the maker. */
  firmware: { number: 1, startBytes: 4 * mebibyte, bytes: 96 * mebibyte, label: 'SURFACED' },
  slotA: { number: 2, startBytes: 100 * mebibyte, bytes: slotBytes },
  slotB: { number: 3, startBytes: 740 * mebibyte, bytes: slotBytes },
  /** ext4, `/data`: all state; shipped small, grown to the end of the card at first boot. */
  data: { number: 4, startBytes: 1380 * mebibyte, bytes: 36 * mebibyte, label: 'surfaced-data' },
} as const;

/** Size of the image file. */
export const cardBytes = 1416 * mebibyte;

/**
 * The boot state: two copies, each a U-Boot environment of one sector (CRC-32, then `name=value` texts), in the gap before
 * the first partition. A card writes a sector whole or not at all; the first copy with a good CRC counts.
 * Variables: `good` (slot that is known to work: a or b), `trial` (slot on trial, or empty), `left` (starts that the
 * trial has left, 0 to 3).
 */
export const bootState = { copies: [1 * mebibyte, 2 * mebibyte], bytes: sectorBytes, tries: 3 } as const;

/** Names of the slots, as RAUC, the boot state and the kernel's command line (`surfaced.slot=a`) have them. */
export type SlotName = 'a' | 'b';
