/** The file with the ends of the faders: `surfaced calibrate` writes it, the device reads it. */
import { randomBytes } from 'node:crypto';
import { access, constants, open, readlink, realpath, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { Composer, LineCounter, stringify } from 'yaml';
import { z } from 'zod';
import { SurfacedError } from '../errors.ts';
import { findingsOf } from './findings.ts';
import { readConfigFile, tokensOf } from './load.ts';
import { controlName } from './panel.ts';
import { apiVersion } from './schema.ts';

/** Least travel between the ends of a fader, as a part of the full scale; on less its noise would be replicas. */
export const leastSpan = 0.2;
const mostFaders = 256;

const end = z.number().min(0).max(1);
const faderEndsSchema = z
  .strictObject({
    low: end.describe(
      'Reading at the bottom, 0..1 of the full scale; more than `high` when it is mounted upside down.',
    ),
    high: end.describe('Reading at the top.'),
  })
  .refine(({ low, high }) => Math.abs(high - low) >= leastSpan, {
    message: `expected at least ${leastSpan} between low and high`,
  });
const calibrationSchema = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('Calibration'),
  faders: z
    .record(controlName, faderEndsSchema)
    .refine((faders) => Object.keys(faders).length <= mostFaders, {
      message: `expected at most ${mostFaders} faders`,
    }),
});

/** Where the travel of a fader ends on the scale of its converter; `low` is above `high` when it is upside down. */
export type FaderEnds = Readonly<z.infer<typeof faderEndsSchema>>;
/** Ends of faders by the names of their controls. */
export type Calibration = ReadonlyMap<string, FaderEnds>;

/** Reads a calibration; a file that is not there is an empty one. @throws SurfacedError E_HW_CALIBRATION */
export async function readCalibration(file: string): Promise<Calibration> {
  let text: string;
  try {
    text = await readConfigFile(file);
  } catch (cause) {
    if (cause instanceof Error && isAbsent(cause.cause)) return new Map();
    throw broken((cause as Error).message, cause);
  }
  return parseCalibration(text, file);
}

/** Checks the text of a calibration. @throws SurfacedError E_HW_CALIBRATION, with every field that is wrong */
export function parseCalibration(text: string, file: string): Calibration {
  const input = readYaml(text, file);
  const { success, data, error } = calibrationSchema.safeParse(input);
  if (success) return new Map(Object.entries(data.faders));
  const faults = findingsOf(error, calibrationSchema, input).map(({ path: field, message }) =>
    field.length === 0 ? `${file}: ${message}` : `${file}: ${field.join('.')}: ${message}`,
  );
  throw broken(faults.join('\n'), error);
}

/** Looks whether a calibration could be written. @throws SurfacedError E_HW_CALIBRATION */
export async function assertWritable(file: string): Promise<void> {
  try {
    await access(path.dirname(await targetOf(file)), constants.W_OK);
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

/**
 * Writes a calibration, as a whole or not at all, also when the power goes; anybody may read it.
 * @throws SurfacedError E_HW_CALIBRATION
 */
export async function writeCalibration(file: string, calibration: Calibration): Promise<void> {
  const faders = Object.fromEntries([...calibration].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const text = `# Ends of the faders, written by surfaced calibrate.\n${stringify({ apiVersion, kind: 'Calibration', faders })}`;
  parseCalibration(text, file);
  try {
    await replaceFile(await targetOf(file), text);
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

function readYaml(text: string, file: string): unknown {
  const lines = new LineCounter();
  try {
    const documents = [
      ...new Composer({ prettyErrors: false, logLevel: 'silent' }).compose(tokensOf(text, lines)),
    ];
    const problem = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])[0];
    if (problem !== undefined) {
      const { line, col } = lines.linePos(problem.pos[0]);
      throw new Error(`${line}:${col} ${problem.message.split('\n')[0]}`);
    }
    if (documents.length !== 1) throw new Error(`expected one document, got ${documents.length}`);
    return documents[0]!.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw broken(`${file}: ${(cause as Error).message}`, cause);
  }
}

const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';

const broken = (message: string, cause: unknown): SurfacedError =>
  new SurfacedError('E_HW_CALIBRATION', message, { cause });

const unwritable = (file: string, cause: unknown): SurfacedError =>
  broken(`${file}: cannot be written (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`, cause);

/** What a link points to, so that it stays a link, also while nothing is there yet; else the file itself. */
async function targetOf(file: string): Promise<string> {
  return realpath(file).catch(async (error: unknown) => {
    if (!isAbsent(error)) throw error;
    const link = await readlink(file).catch(() => null);
    return link === null ? file : targetOf(path.resolve(path.dirname(file), link));
  });
}

async function replaceFile(file: string, text: string): Promise<void> {
  const folder = path.dirname(file);
  const beside = path.join(folder, `.${path.basename(file)}.${randomBytes(4).toString('hex')}`);
  try {
    await writeSynced(beside, text);
    await rename(beside, file);
  } catch (error) {
    // What is left of it is of no use; that it may not be there is why it failed.
    await unlink(beside).catch(() => {});
    throw error;
  }
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o644);
  try {
    // Whatever the umask: the device may run as another user.
    await handle.chmod(0o644);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
