/**
 * What a person may be shown of an event log. A PCR holds digests alone: the type of an event and its data stand in
 * the log unproven, unless the digest is that of the data (or of the part of it that is said here). No decision is
 * made on any of this: reference values compare digests.
 */
import type { HashName } from '../tpm2/index.ts';
import { type EventRecord, evNoAction } from './event-log.ts';
import { asBuffer, bankDigest, isSameBytes, shown } from './log.ts';

/** PC Client Platform Firmware Profile, section 10.4.1. */
const typeNames: ReadonlyMap<number, string> = new Map([
  [0x00000000, 'EV_PREBOOT_CERT'],
  [0x00000001, 'EV_POST_CODE'],
  [evNoAction, 'EV_NO_ACTION'],
  [0x00000004, 'EV_SEPARATOR'],
  [0x00000005, 'EV_ACTION'],
  [0x00000006, 'EV_EVENT_TAG'],
  [0x00000007, 'EV_S_CRTM_CONTENTS'],
  [0x00000008, 'EV_S_CRTM_VERSION'],
  [0x00000009, 'EV_CPU_MICROCODE'],
  [0x0000000a, 'EV_PLATFORM_CONFIG_FLAGS'],
  [0x0000000b, 'EV_TABLE_OF_DEVICES'],
  [0x0000000c, 'EV_COMPACT_HASH'],
  [0x0000000d, 'EV_IPL'],
  [0x0000000e, 'EV_IPL_PARTITION_DATA'],
  [0x0000000f, 'EV_NONHOST_CODE'],
  [0x00000010, 'EV_NONHOST_CONFIG'],
  [0x00000011, 'EV_NONHOST_INFO'],
  [0x00000012, 'EV_OMIT_BOOT_DEVICE_EVENTS'],
  [0x80000001, 'EV_EFI_VARIABLE_DRIVER_CONFIG'],
  [0x80000002, 'EV_EFI_VARIABLE_BOOT'],
  [0x80000003, 'EV_EFI_BOOT_SERVICES_APPLICATION'],
  [0x80000004, 'EV_EFI_BOOT_SERVICES_DRIVER'],
  [0x80000005, 'EV_EFI_RUNTIME_SERVICES_DRIVER'],
  [0x80000006, 'EV_EFI_GPT_EVENT'],
  [0x80000007, 'EV_EFI_ACTION'],
  [0x80000008, 'EV_EFI_PLATFORM_FIRMWARE_BLOB'],
  [0x80000009, 'EV_EFI_HANDOFF_TABLES'],
  [0x8000000a, 'EV_EFI_PLATFORM_FIRMWARE_BLOB2'],
  [0x8000000b, 'EV_EFI_HANDOFF_TABLES2'],
  [0x8000000c, 'EV_EFI_VARIABLE_BOOT2'],
  [0x80000010, 'EV_EFI_HCRTM_EVENT'],
  [0x800000e0, 'EV_EFI_VARIABLE_AUTHORITY'],
  [0x800000e1, 'EV_EFI_SPDM_FIRMWARE_BLOB'],
  [0x800000e2, 'EV_EFI_SPDM_FIRMWARE_CONFIG'],
]);

/** The name of a type, or its number. The type itself is never covered by a digest. */
export const eventTypeName = (type: number): string =>
  typeNames.get(type) ?? `0x${type.toString(16).padStart(8, '0')}`;

/** Stands for every text that the digest does not cover. */
export const notCovered = 'not covered by its digest';

/** What may be shown of an event's data. */
export interface EventText {
  /** Whether the digest of the bank proves the text. */
  readonly isCovered: boolean;
  /** Printable ASCII of bounded length; {@link notCovered} when it is not. */
  readonly text: string;
}

/** Longest text, in characters. */
const mostCharacters = 200;
/** Where a prefix such as `grub_cmd: ` ends at the latest; GRUB and shim put it in the log, not in the digest. */
const mostPrefixBytes = 32;

/** The data of an event as text, as far as the digest of the quoted bank covers it. */
export function eventText(record: EventRecord, bank: HashName): EventText {
  const digest = record.digests.get(bank);
  const covered =
    digest === undefined || record.type === evNoAction
      ? undefined
      : coverable(asBuffer(record.data)).find((part) => isSameBytes(bankDigest(bank, part), digest));
  if (covered === undefined) return { isCovered: false, text: notCovered };
  return { isCovered: true, text: readable(covered) };
}

/** The parts of an event's data that firmware and boot loaders are known to digest; few, so that the work is bounded. */
function coverable(data: Buffer): Buffer[] {
  const parts = [data];
  const string = data.at(-1) === 0 ? data.subarray(0, -1) : data;
  if (string.length < data.length) parts.push(string);
  const colon = string.subarray(0, mostPrefixBytes).indexOf(': ');
  if (colon >= 0) parts.push(string.subarray(colon + 2));
  const value = variableValue(data);
  if (value !== null) parts.push(value);
  return parts;
}

/** UEFI_VARIABLE_DATA: GUID 16 | length of the name u64 | length of the value u64 | name, UTF-16 | value. */
function variableValue(data: Buffer): Buffer | null {
  if (data.length < 32) return null;
  const valueStart = 32n + 2n * data.readBigUInt64LE(16);
  return valueStart + data.readBigUInt64LE(24) === BigInt(data.length)
    ? data.subarray(Number(valueStart))
    : null;
}

/** Text where the bytes are some, else the first of them in hex. */
function readable(bytes: Buffer): string {
  const end = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
  const ascii = bytes.subarray(0, Math.min(end, mostCharacters + 1)).toString('latin1');
  if (/^[\n\t -~]+$/.test(ascii)) return shown(ascii, mostCharacters);
  const wide = bytes
    .subarray(0, 2 * (mostCharacters + 1))
    .toString('utf16le')
    .replace(/\0+$/, '');
  if (bytes.length % 2 === 0 && /^[\n\t -~]+$/.test(wide)) return shown(wide, mostCharacters);
  const hex = bytes.subarray(0, mostCharacters / 2).toString('hex');
  return bytes.length > mostCharacters / 2 ? `${hex}... (${bytes.length} bytes)` : hex;
}
