/**
 * How the device daemon, which has few rights, has an update installed: it writes a request into a folder; a service that
 * may install takes it, and tells in another file how that goes. Both files appear whole, by renaming, and are read as what
 * somebody else has written.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { errorTable, SurfacedError } from '../errors.ts';
import { versionPattern } from '../version.ts';

/** Folder of both: the daemon may make files in it, and not touch those of the service. In memory, empty after a start. */
export const updateFolder = '/run/surfaced/update';
/** What the daemon asks for; taken away when the service has read it. */
export const requestFile = path.join(updateFolder, 'request.json');
/** How it stands; there once the service has looked after a start. Where there is none, nothing can be installed. */
export const stateFile = path.join(updateFolder, 'state.json');

const mostFileBytes = 64 * 1024;
const version = z.string().regex(versionPattern, 'a version, e.g. 1.2.0');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, '64 hex digits');
/** Chosen by who asks; comes back in the state. */
const id = z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'letters, digits and dashes');

/** Where a bundle may be fetched: HTTPS, no password in it, nothing that rauc or curl would take for more than an address. */
export const bundleUrl = z
  .string()
  .max(2048)
  .regex(/^https:\/\/[A-Za-z0-9.:[\]_-]+(?:\/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?$/, 'an https URL')
  .refine((text) => URL.canParse(text), 'a URL');

const caPem = z
  .string()
  .max(32 * 1024)
  .regex(/^(?:-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n?)+$/, 'PEM');

/** What may be asked for. */
export const updateRequest = z.discriminatedUnion('action', [
  z.strictObject({
    action: z.literal('install'),
    id,
    version,
    url: bundleUrl,
    /** PEM of the CA that the server's certificate must be of; null: those that this system knows. */
    caPem: caPem.nullable(),
    /** SHA-256 of the manifest in the bundle: exactly this content. */
    manifestSha256: sha256,
  }),
  /** Starts the system anew when an update waits for that, never else. */
  z.strictObject({ action: z.literal('restart'), id }),
]);
export type UpdateRequest = Readonly<z.infer<typeof updateRequest>>;

/** How updates stand on this surface. */
export const updateState = z.strictObject({
  /**
   * `idle`: one may be asked for. `installing`; `installed`: only the restart is missing. `trial`: the update runs, and it is
   * not known yet whether it stays. `failed`: what runs is what ran before.
   */
  state: z.enum(['idle', 'installing', 'installed', 'trial', 'failed']),
  /** Which version this is about; null: none. */
  version: version.nullable(),
  /** For people, one sentence. */
  detail: z.string().max(256),
  /** Percent, while it is installed. */
  progress: z.int().min(0).max(100).nullable(),
  /** Code of the error with which it failed. */
  code: z
    .string()
    .refine((text) => Object.hasOwn(errorTable, text))
    .nullable(),
  /** Of the request that led to this; null: of none since the start. */
  id: id.nullable(),
});
export type UpdateState = Readonly<z.infer<typeof updateState>>;

/** @throws SurfacedError E_UPDATE_REQUEST naming file and field; null: there is no such file */
export const readRequest = (file: string): Promise<UpdateRequest | null> => readJson(file, updateRequest);

/** @throws SurfacedError E_UPDATE_REQUEST naming file and field; null: there is no such file */
export const readState = (file: string): Promise<UpdateState | null> => readJson(file, updateState);

/** A file of JSON that somebody else has written: no link is followed, no pipe waited for, nothing large read. */
async function readJson<Value>(file: string, schema: z.ZodType<Value>): Promise<Value | null> {
  const text = await textOf(file);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw requestError(file, 'not JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw requestError(file, `${issue?.path.join('.') || 'the whole'}: ${issue?.message.slice(0, 200)}`);
}

async function textOf(file: string): Promise<string | null> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const found = await handle.stat();
    if (!found.isFile()) throw requestError(file, 'not a regular file');
    const bytes = Buffer.alloc(mostFileBytes + 1);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    if (bytesRead > mostFileBytes) throw requestError(file, `more than ${mostFileBytes} bytes`);
    return bytes.toString('utf8', 0, bytesRead);
  } catch (cause) {
    if (cause instanceof SurfacedError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw requestError(file, `cannot be read (${code})`, cause);
  } finally {
    await handle?.close();
  }
}

const requestError = (file: string, what: string, cause?: unknown): SurfacedError =>
  new SurfacedError('E_UPDATE_REQUEST', `${file}: ${what}`, cause === undefined ? {} : { cause });
