/** Logs made by the tests, and real ones of others where SURFACED_FIXTURES names the folder that has them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SurfacedError } from '../../../daemon/errors.ts';

const folder = process.env.SURFACED_FIXTURES
  ? path.join(process.env.SURFACED_FIXTURES, 'attest/third-party')
  : null;

/** For `t.test`: why tests with real logs of others do not run here, or false. */
export const withoutRealLogs: string | false =
  folder === null
    ? 'SURFACED_FIXTURES is not set: real logs of other projects are read in place only'
    : existsSync(folder)
      ? false
      : `${folder} is not there`;

export const realLog = (name: string): Buffer => readFileSync(path.join(folder ?? '', name));

export const sha = (algorithm: string, ...parts: readonly (Uint8Array | string)[]): Buffer => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
};
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
export const sized = (bytes: Uint8Array | string): Buffer =>
  Buffer.concat([u32(Buffer.byteLength(bytes)), Buffer.from(bytes)]);

export interface SampleEvent {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
  /** Hashed for the digests; the data when left out. */
  readonly hashed?: Uint8Array;
}

export const algorithms = { sha1: 0x0004, sha256: 0x000b, sha384: 0x000c } as const;
export type SampleBank = keyof typeof algorithms;
const sizes = { sha1: 20, sha256: 32, sha384: 48 } as const;

export const oldRecord = ({ pcr, type, data, hashed }: SampleEvent): Buffer =>
  Buffer.concat([
    u32(pcr),
    u32(type),
    type === 3 ? Buffer.alloc(20) : sha('sha1', hashed ?? data),
    sized(data),
  ]);

export const specId = (banks: readonly { readonly algorithm: number; readonly size: number }[]): Buffer =>
  oldRecord({
    pcr: 0,
    type: 3,
    data: Buffer.concat([
      Buffer.from('Spec ID Event03\0'),
      u32(0),
      Buffer.from([0, 2, 0, 2]),
      u32(banks.length),
      ...banks.map((bank) => Buffer.concat([u16(bank.algorithm), u16(bank.size)])),
      Buffer.from([0]),
    ]),
  });

export const sampleBanks = (banks: readonly SampleBank[]) =>
  banks.map((bank) => ({ algorithm: algorithms[bank], size: sizes[bank] }));

export const agileRecord = (banks: readonly SampleBank[], event: SampleEvent): Buffer =>
  Buffer.concat([
    u32(event.pcr),
    u32(event.type),
    u32(banks.length),
    ...banks.map((bank) =>
      Buffer.concat([
        u16(algorithms[bank]),
        event.type === 3 ? Buffer.alloc(sizes[bank]) : sha(bank, event.hashed ?? event.data),
      ]),
    ),
    sized(event.data),
  ]);

export const agileLog = (banks: readonly SampleBank[], events: readonly SampleEvent[]): Buffer =>
  Buffer.concat([specId(sampleBanks(banks)), ...events.map((event) => agileRecord(banks, event))]);

export const text = (value: string): Buffer => Buffer.from(value, 'latin1');
export const locality = (value: number): SampleEvent => ({
  pcr: 0,
  type: 3,
  data: Buffer.concat([text('StartupLocality\0'), Buffer.from([value])]),
});

/** Events of a boot as U-Boot measures one. */
export const boot: readonly SampleEvent[] = [
  { pcr: 0, type: 8, data: text('U-Boot 2026.01\0') },
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => ({ pcr, type: 4, data: Buffer.alloc(4) })),
  { pcr: 8, type: 0x0c, data: text('linux'), hashed: text('the kernel itself') },
  { pcr: 8, type: 0x0d, data: text('grub_cmd: linux /vmlinuz\0'), hashed: text('linux /vmlinuz') },
  { pcr: 1, type: 0x0d, data: text('console=ttyS0\0') },
];

export interface SampleMeasurement {
  readonly template: 'ima' | 'ima-ng' | 'ima-sig' | 'ima-buf';
  readonly algorithm: string;
  readonly digest: Buffer;
  readonly name: Buffer<ArrayBufferLike>;
  readonly extra?: Buffer<ArrayBufferLike>;
  readonly isViolation?: boolean;
}

const zeros = (bytes: number) => Buffer.alloc(bytes);

/** Template data, written down from the kernel's description apart from the code under test. */
export function templateData(entry: SampleMeasurement): Buffer {
  if (entry.template === 'ima')
    return Buffer.concat([entry.digest, entry.name, zeros(256 - entry.name.length)]);
  const digest = Buffer.concat([text(`${entry.algorithm}:\0`), entry.digest]);
  const fields = [sized(digest), sized(Buffer.concat([entry.name, zeros(1)]))];
  if (entry.template !== 'ima-ng') fields.push(sized(entry.extra ?? zeros(0)));
  return Buffer.concat(fields);
}

export function asciiLine(entry: SampleMeasurement, listed: SampleBank = 'sha1'): Buffer {
  const hash = entry.isViolation ? zeros(sizes[listed]) : sha(listed, templateData(entry));
  const digest = `${entry.template === 'ima' ? '' : `${entry.algorithm}:`}${hexOf(entry.digest)}`;
  const hasExtra = entry.template === 'ima-sig' || entry.template === 'ima-buf';
  return Buffer.concat([
    text(`10 ${hexOf(hash)} ${entry.template} ${digest} `),
    entry.name,
    text(hasExtra ? ` ${hexOf(entry.extra ?? zeros(0))}\n` : '\n'),
  ]);
}

export function binaryEntry(entry: SampleMeasurement): Buffer {
  const data = templateData(entry);
  return Buffer.concat([
    u32(10),
    entry.isViolation ? zeros(20) : sha('sha1', data),
    sized(entry.template),
    ...(entry.template === 'ima' ? [entry.digest, sized(entry.name)] : [sized(data)]),
  ]);
}

export const extension = (entry: SampleMeasurement, bank: SampleBank): Buffer =>
  entry.isViolation ? Buffer.alloc(sizes[bank], 0xff) : sha(bank, templateData(entry));

/** Values of PCR 10 before the first entry and behind each. */
export function pcrValues(entries: readonly SampleMeasurement[], bank: SampleBank): Buffer[] {
  const values: Buffer<ArrayBufferLike>[] = [zeros(sizes[bank])];
  for (const entry of entries) values.push(sha(bank, values.at(-1)!, extension(entry, bank)));
  return values;
}

export const measurements: readonly SampleMeasurement[] = [
  {
    template: 'ima-ng',
    algorithm: 'sha256',
    digest: sha('sha256', zeros(320)),
    name: text('boot_aggregate'),
  },
  {
    template: 'ima-sig',
    algorithm: 'sha256',
    digest: sha('sha256', 'init'),
    name: text('/usr/lib/systemd/systemd'),
  },
  {
    template: 'ima-sig',
    algorithm: 'sha512',
    digest: sha('sha512', 'node'),
    name: Buffer.from('/usr/bin/n\u00f6de_(deleted)'),
    extra: Buffer.from('030204deadbeef', 'hex'),
  },
  { template: 'ima', algorithm: 'sha1', digest: sha('sha1', 'old'), name: text('/bin/old') },
  { template: 'ima-ng', algorithm: 'sha256', digest: zeros(32), name: text('/var/log/x'), isViolation: true },
  {
    template: 'ima-buf',
    algorithm: 'sha256',
    digest: sha('sha256', 'ro quiet'),
    name: text('kexec-cmdline'),
    extra: text('ro quiet'),
  },
];

/** The one error that readers may throw, or what else came. */
export function failure(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof SurfacedError && error.code === 'E_ATTEST_LOG') return error.message;
    throw error;
  }
}
