/** Logs of machines that measured much or little, in the forms of the kernel and of the firmware. Pure. */
import { createHash } from 'node:crypto';

/** An event in a log, and what it extends a PCR of the SHA-256 bank with. */
export interface Entry {
  readonly bytes: Buffer;
  readonly pcr: number;
  readonly digest: Buffer;
}

export const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer => hashed('sha256', parts);
const hashed = (algorithm: string, parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const sized = (bytes: Uint8Array): Buffer => Buffer.concat([u32(bytes.length), bytes]);

/** PCR of IMA. */
export const imaPcr = 10;

/** An entry of binary_runtime_measurements, template ima-ng (Linux, Documentation/security/IMA-templates.rst). */
export function imaEntry(path: string, fileDigest: Uint8Array): Entry {
  const digest = sized(Buffer.concat([Buffer.from('sha256:\0'), fileDigest]));
  const data = Buffer.concat([digest, sized(Buffer.from(`${path}\0`))]);
  const head = [u32(imaPcr), hashed('sha1', [data]), sized(Buffer.from('ima-ng'))];
  return { bytes: Buffer.concat([...head, sized(data)]), pcr: imaPcr, digest: sha256(data) };
}

/** A list of so many files, whose first entry is the boot_aggregate of PCR 0 to 9 when nothing was measured before. */
export function imaList(count: number): Entry[] {
  const first = imaEntry('boot_aggregate', sha256(Buffer.alloc(10 * 32)));
  return [first, ...imaFiles(1, count - 1)];
}

/** Entries of so many more files. */
export const imaFiles = (from: number, count: number): Entry[] =>
  Array.from({ length: count }, (_, index) => {
    const path = `/usr/lib/aarch64-linux-gnu/some-package/libsome-${from + index}.so.1.2.3`;
    return imaEntry(path, sha256(path));
  });

/** TPM_ALG_SHA256. */
const sha256Algorithm = 0x000b;
const eventTypes = { noAction: 3, separator: 4, postCode: 1 } as const;

/**
 * The log of a firmware that measures SHA-256 only: Spec ID, code and configuration, separators (TCG PC Client Platform
 * Firmware Profile, section 10).
 */
export function firmwareLog(count: number): { readonly head: Buffer; readonly events: readonly Entry[] } {
  const algorithm = Buffer.from([sha256Algorithm & 0xff, sha256Algorithm >> 8]);
  const bank = Buffer.concat([algorithm, Buffer.from([32, 0])]);
  const specId = Buffer.concat([
    Buffer.from('Spec ID Event03\0'),
    u32(0),
    Buffer.from([0, 2, 0, 2]),
    u32(1),
    bank,
    Buffer.from([0]),
  ]);
  const head = Buffer.concat([u32(0), u32(eventTypes.noAction), Buffer.alloc(20), sized(specId)]);
  const event = (pcr: number, type: number, data: Buffer): Entry => {
    const digest = sha256(data);
    const bytes = Buffer.concat([u32(pcr), u32(type), u32(1), algorithm, digest, sized(data)]);
    return { bytes, pcr, digest };
  };
  const separators = Array.from({ length: 8 }, (_, pcr) => event(pcr, eventTypes.separator, Buffer.alloc(4)));
  const others = Array.from({ length: count - separators.length }, (_, index) =>
    event(
      index % 8,
      eventTypes.postCode,
      Buffer.from(`stage ${index} of the firmware, ${'x'.repeat(index)}`),
    ),
  );
  return { head, events: [...others, ...separators] };
}

/** All entries one after the other. */
export const joined = (entries: readonly Entry[], head: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([head, ...entries.map(({ bytes }) => bytes)]);
