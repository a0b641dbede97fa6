/** Reads a reference set: signature first, then the YAML, then what the schema cannot say, then the list beside it. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Finding } from '../../config/findings.ts';
import { configText, maxConfigBytes, parseConfigs } from '../../config/load.ts';
import { readBounded } from '../../config/read-bounded.ts';
import type { ReferenceSet } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import { imaPcr } from '../logs/ima-entry.ts';
import { bankBytes, shown } from '../logs/log.ts';
import type { MatchedReference } from '../verifier/verdict.ts';
import { type ImaContents, imaContentsLimits, parseImaContents } from './ima-contents.ts';
import { mostSignatureBytes, type Signer, verifySet } from './signature.ts';

/** A set in the form in which measurements are looked up in it. Digests are hex in lower case. */
export interface Reference extends MatchedReference {
  readonly file: string;
  /** The list of IMA beside it, null: it has none. */
  readonly list: string | null;
  /** Unix milliseconds; null: open. */
  readonly notBefore: number | null;
  readonly notAfter: number | null;
  /** Hex of SHA-256 of the signer's SubjectPublicKeyInfo; null: unsigned, or not looked at. */
  readonly signer: string | null;
  readonly bank: ReferenceSet['spec']['bank'];
  readonly pcrs: ReadonlyMap<number, ReadonlySet<string>>;
  readonly firmware: ReadonlyMap<number, ReadonlySet<string>>;
  readonly files: ReadonlyMap<string, { readonly sha256: ReadonlySet<string>; readonly isRequired: boolean }>;
  readonly mayHaveOtherFiles: boolean;
  readonly ima: { readonly contents: ImaContents; readonly mostViolations: number } | null;
}

/** Whose signature counts. */
export interface Signing {
  readonly signers: readonly Signer[];
  /** Whether a set without a signature file counts, too. One with a wrong signature never does. */
  readonly acceptUnsigned: boolean;
}

/**
 * Reads a set and all that belongs to it.
 * @param signing null: its signature is not looked at
 * @throws SurfacedError E_CFG_READ, E_CFG_INVALID, E_POLICY_SET; the message names the file
 */
export async function readReference(file: string, signing: Signing | null): Promise<Reference> {
  const bytes = await read(file, maxConfigBytes);
  const signer = signing && (await signerOf(file, bytes, signing));
  const set = parseReferenceSet(bytes, file);
  const contents = await readImaContents(set, file);
  return reference(set, { file, bytes, signer, contents });
}

async function signerOf(file: string, bytes: Uint8Array, signing: Signing): Promise<string | null> {
  const signature = await readOrNull(`${file}.sig`, mostSignatureBytes);
  if (signature === null) {
    if (signing.acceptUnsigned) return null;
    throw new SurfacedError('E_POLICY_SET', `${file}: not signed: there is no ${path.basename(file)}.sig`);
  }
  try {
    return verifySet(bytes, signature, signing.signers);
  } catch (cause) {
    throw new SurfacedError('E_POLICY_SET', `${file}: ${(cause as Error).message}`, { cause });
  }
}

/** Null: there is no such file. Nothing but a file is opened: a pipe would wait for somebody to write to it. */
async function readOrNull(file: string, mostBytes: number): Promise<Buffer | null> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new SurfacedError('E_CFG_READ', `${file}: cannot be read (${error.code})`, { cause: error });
  });
  if (found === null) return null;
  if (found.isFile()) return readBounded(file, mostBytes);
  throw new SurfacedError('E_CFG_READ', `${file}: not a file`);
}

async function read(file: string, mostBytes: number): Promise<Buffer> {
  const bytes = await readOrNull(file, mostBytes);
  if (bytes !== null) return bytes;
  throw new SurfacedError('E_CFG_READ', `${file}: there is no such file`);
}

/** The set that these bytes are, with everything checked but the list beside it. @throws SurfacedError E_CFG_INVALID */
export function parseReferenceSet(bytes: Uint8Array, file: string): ReferenceSet {
  const sets = parseConfigs('ReferenceSet', configText(bytes, file), file, checkReferenceSet);
  const [set] = sets;
  if (set !== undefined && sets.length === 1) return set;
  throw new SurfacedError(
    'E_CFG_INVALID',
    `${file}:1:1 expected one ReferenceSet document, got ${set === undefined ? 'an empty file' : sets.length}`,
  );
}

/** What the schema cannot say. */
export function checkReferenceSet({ spec }: ReferenceSet): Finding[] {
  const findings: Finding[] = [];
  const report = (at: Finding['path'], message: string): void => {
    findings.push({ path: ['spec', ...at], message, isAboutKey: false });
  };
  const checkDigests = (at: Finding['path'], digests: readonly string[]): void => {
    for (const [index, digest] of digests.entries())
      if (digest.length !== 2 * bankBytes[spec.bank])
        report(
          [...at, index],
          `expected ${2 * bankBytes[spec.bank]} hex digits for ${spec.bank}, got ${digest.length}`,
        );
  };
  const checkPcr = (at: Finding['path'], pcr: number, seen: Set<number>): void => {
    if (pcr === imaPcr)
      report(at, `PCR ${imaPcr} has no fixed values: the list of IMA, under ima, is what is compared`);
    if (seen.has(pcr)) report(at, `PCR ${pcr} is given twice`);
    seen.add(pcr);
  };
  const fixed = new Set<number>();
  for (const [index, { pcr, values }] of spec.pcrs.entries()) {
    checkPcr(['pcrs', index, 'pcr'], pcr, fixed);
    checkDigests(['pcrs', index, 'values'], values);
  }
  const logged = new Set<number>();
  for (const [index, { pcr, digests }] of spec.firmware.entries()) {
    checkPcr(['firmware', index, 'pcr'], pcr, logged);
    checkDigests(['firmware', index, 'digests'], digests);
  }
  const paths = new Set<string>();
  for (const [index, { path: measured }] of spec.files.entries()) {
    if (paths.has(measured)) report(['files', index, 'path'], `"${shown(measured)}" is given twice`);
    paths.add(measured);
  }
  const [begin, end] = [instant(spec.notBefore), instant(spec.notAfter)];
  if (begin !== null && end !== null && begin >= end) report(['notAfter'], 'must be later than notBefore');
  if (spec.pcrs.length + spec.firmware.length + spec.files.length === 0 && spec.ima === undefined)
    report([], 'has nothing to compare: give pcrs, firmware, files or ima');
  return findings;
}

const listOf = (file: string, list: string): string => path.join(path.dirname(file), list);

const instant = (text: string | undefined): number | null => (text === undefined ? null : Date.parse(text));

/** Reads the list that a set names and checks that it is the one that was signed with it. @throws SurfacedError */
export async function readImaContents(set: ReferenceSet, file: string): Promise<ImaContents | null> {
  const { ima } = set.spec;
  if (ima === undefined) return null;
  const list = listOf(file, ima.list);
  let bytes: Buffer;
  try {
    bytes = await read(list, imaContentsLimits.mostBytes);
  } catch (cause) {
    throw new SurfacedError('E_POLICY_SET', `${file}: spec.ima.list: ${(cause as Error).message}`, { cause });
  }
  const sha256 = hexSha256(bytes);
  if (sha256 !== ima.listSha256)
    throw new SurfacedError(
      'E_POLICY_SET',
      `${file}: spec.ima.listSha256: ${ima.list} has SHA-256 ${sha256}`,
    );
  return parseImaContents(bytes, { name: list, isPathCompared: ima.isPathCompared });
}

/** The set ready for comparisons. */
export function reference(
  set: ReferenceSet,
  parts: {
    readonly file: string;
    readonly bytes: Uint8Array;
    readonly signer: string | null;
    readonly contents: ImaContents | null;
  },
): Reference {
  const { metadata, spec } = set;
  const { file, bytes, signer, contents } = parts;
  return {
    file,
    list: spec.ima === undefined ? null : listOf(file, spec.ima.list),
    name: metadata.name,
    version: metadata.version,
    sha256: hexSha256(bytes),
    signer,
    notBefore: instant(spec.notBefore),
    notAfter: instant(spec.notAfter),
    bank: spec.bank,
    pcrs: new Map(spec.pcrs.map(({ pcr, values }) => [pcr, new Set(values)])),
    firmware: new Map(spec.firmware.map(({ pcr, digests }) => [pcr, new Set(digests)])),
    files: new Map(
      spec.files.map(({ path: measured, sha256, isRequired }) => [
        measured,
        { sha256: new Set(sha256), isRequired },
      ]),
    ),
    mayHaveOtherFiles: spec.mayHaveOtherFiles,
    ima: spec.ima && contents ? { contents, mostViolations: spec.ima.mostViolations } : null,
  };
}

const hexSha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
