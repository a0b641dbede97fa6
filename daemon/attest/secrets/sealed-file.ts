/**
 * Sealed secrets at rest: JSON in a file of mode 0600, written in one step. Nothing in it is of use without the TPM, so that
 * it may be copied and backed up; it is judged all the same, for whoever holds the disk can change it.
 */
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { SurfacedError } from '../../errors.ts';
import { base64 } from '../evidence/evidence.ts';
import { shown } from '../logs/log.ts';
import { writeStateFile } from '../state-files.ts';

/** Bounds of what is read and written. */
export const secretLimits = {
  /** Of the text that is sealed. */
  mostTextBytes: 64 * 1024,
  mostFileBytes: 256 * 1024,
  /** Approvals that are kept; the oldest goes first. */
  mostApprovals: 16,
} as const;

const bytes = (least: number, most: number) =>
  z
    .string()
    .max(Math.ceil(most / 3) * 4)
    .transform((text, context): Uint8Array => {
      const decoded = Buffer.from(text, 'base64');
      if (decoded.toString('base64') === text && decoded.length >= least && decoded.length <= most)
        return decoded;
      context.addIssue({ code: 'custom', message: `not base64 of ${least} to ${most} bytes` });
      return z.NEVER;
    });

const digestHex = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex, lower case');
const pcrName = z.string().regex(/^(?:\d|1[0-5])$/, 'a PCR from 0 to 15');

/** Values of the sha256 bank by PCR. */
export const pcrValuesSchema = z.record(pcrName, digestHex);
export type PcrValuesHex = Readonly<z.infer<typeof pcrValuesSchema>>;

const state = { at: z.iso.datetime(), values: pcrValuesSchema };
const schema = z
  .strictObject({
    format: z.literal('surfaced.dev/sealed-secret/v1'),
    /** Random, in the policy of the sealed key: an approval is for one secret. */
    id: bytes(16, 16),
    /** Name of the storage root key that it is sealed under. */
    parent: z.string().regex(/^000b[0-9a-f]{64}$/, 'the Name of a key'),
    /** None: it opens in this TPM whatever was measured. */
    pcrs: z.array(z.int().min(0).max(15)).max(16),
    /** SubjectPublicKeyInfo in PEM of who may approve other values. */
    updateKey: z.string().max(1000).nullable(),
    sealed: z.strictObject(state),
    approvals: z
      .array(z.strictObject({ ...state, signature: bytes(64, 64) }))
      .max(secretLimits.mostApprovals),
    /** TPM2B_PRIVATE and TPM2B_PUBLIC of the sealed AES-256 key. */
    key: bytes(1, 1024),
    /** The text, AES-256-GCM. */
    text: z.strictObject({
      iv: bytes(12, 12),
      tag: bytes(16, 16),
      data: bytes(1, secretLimits.mostTextBytes),
    }),
  })
  .superRefine((file, context) => {
    const problem = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (file.pcrs.some((pcr, index) => index > 0 && pcr <= file.pcrs[index - 1]!))
      problem('pcrs', 'not ascending');
    const names = file.pcrs.join();
    for (const [path, { values }] of [
      ['sealed', file.sealed] as const,
      ...file.approvals.map((approval) => ['approvals', approval] as const),
    ])
      if (Object.keys(values).join() !== names) problem(path, 'values of other PCRs');
    if (file.updateKey === null && file.approvals.length > 0) problem('approvals', 'without an update key');
  });

/** A sealed secret. */
export type SealedFile = Readonly<z.output<typeof schema>>;

/** @throws SurfacedError E_SECRET, with the field that is wrong */
export async function readSealed(name: string): Promise<SealedFile> {
  return parseSealed(name, await boundedText(name, secretLimits.mostFileBytes));
}

/** @throws SurfacedError E_SECRET, with the field that is wrong */
export function parseSealed(name: string, text: string): SealedFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw secretError(name, 'not JSON: this is no sealed secret, or it was cut', cause);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') || 'file';
  throw secretError(name, `${shown(field)}: ${shown(issue?.message ?? 'wrong', 200)}`);
}

/** The text of a sealed secret, as {@link parseSealed} reads it. */
export function sealedText(file: SealedFile): string {
  const { id, key, text, approvals } = file;
  const json = {
    ...file,
    id: base64(id),
    approvals: approvals.map((approval) => ({ ...approval, signature: base64(approval.signature) })),
    key: base64(key),
    text: { iv: base64(text.iv), tag: base64(text.tag), data: base64(text.data) },
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/**
 * Writes it.
 * @param isNew whether a file of this name must not be there yet
 * @throws SurfacedError E_SECRET when it is; E_STATE_DIR
 */
export async function writeSealed(name: string, file: SealedFile, isNew: boolean): Promise<void> {
  if (!(await writeStateFile(name, sealedText(file), { isExclusive: isNew })))
    throw secretError(name, 'is there already: remove it first, if it is not needed any more');
}

/** A small file as text. @throws SurfacedError E_SECRET */
export async function boundedText(name: string, mostBytes: number): Promise<string> {
  try {
    const handle = await open(name, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(mostBytes + 1), 0, mostBytes + 1, 0);
      if (bytesRead > mostBytes) throw new Error(`more than ${mostBytes} bytes`);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw secretError(name, `cannot be read (${code ?? message})`, cause);
  }
}

/** The error of this folder. */
export const secretError = (name: string, what: string, cause?: unknown): SurfacedError =>
  new SurfacedError('E_SECRET', `${name}: ${what}`, cause === undefined ? {} : { cause });
