/**
 * Reads the configuration files: YAML in, frozen and checked values out. Everything that is wrong with a file
 * is reported in one error, one line a finding: `gateway.yaml:12:7 enrol.listen: expected ..., got ...`.
 */
import path from 'node:path';
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  visit,
} from 'yaml';
import type { z } from 'zod';
import { SurfacedError } from '../errors.ts';
import { type Finding, findingsOf } from './findings.ts';
import { readBounded } from './read-bounded.ts';
import {
  type ControlSurface,
  type DeviceConfig,
  type GatewayConfig,
  kinds,
  type ReferenceSet,
  type Rollout,
} from './schema.ts';

export interface ConfigKinds {
  ControlSurface: ControlSurface;
  Gateway: GatewayConfig;
  Device: DeviceConfig;
  ReferenceSet: ReferenceSet;
  Rollout: Rollout;
}
export type Kind = keyof ConfigKinds;

/** Largest file that is read, bytes. */
export const maxConfigBytes = 1024 * 1024;
/** How often the values behind aliases may be repeated; more is an attempt to fill the memory. */
const maxAliasCount = 100;
/** Deepest nesting; the YAML library recurses, and a stack that is nearly full ends the whole process. */
const maxDepth = 64;
const maxFindingsShown = 50;

/** Fields that name files: relative ones are meant from the folder of the config. */
const pathFields: Readonly<Record<Kind, readonly (readonly string[])[]>> = {
  ControlSurface: [],
  Gateway: [
    ['stateDir'],
    ['registry', 'folder'],
    ['cluster', 'kubeconfig'],
    ['policy', 'roots'],
    ['policy', 'references'],
    ['policy', 'signers'],
    ['broker', 'ca'],
    ['broker', 'certificate'],
    ['broker', 'key'],
    ['broker', 'passwordFile'],
    ['shards', 'ca'],
    ['admission', 'clientCa'],
    ['admission', 'images'],
    ['pages', 'certificate'],
    ['pages', 'key'],
    ['pages', 'login', 'oidc', 'clientSecretFile'],
    ['pages', 'login', 'oidc', 'caFile'],
    ['updates', 'folder'],
    ['updates', 'trustedSigners'],
  ],
  Device: [
    ['identity', 'tokenFile'],
    ['panel', 'port', 'path'],
    ['panel', 'calibration'],
  ],
  ReferenceSet: [],
  Rollout: [],
};

/** A path in a config, from the folder of that config. */
const resolveBeside = (configFile: string, value: string): string =>
  path.resolve(path.dirname(configFile), value);

/** What `surfaced enroll token` prints; people put it in the wrong place, and messages end in logs. */
const token = /[a-z0-9]{6}\.[a-z0-9]{32}/g;

interface Located extends Finding {
  readonly offset: number;
}

/** Finds what the schema of a kind cannot say. */
export type Check<K extends Kind> = (config: ConfigKinds[K]) => readonly Finding[];

/** Reads and checks a file that holds one document. @throws SurfacedError E_CFG_READ, E_CFG_INVALID */
export async function loadConfig<K extends Kind>(kind: K, file: string): Promise<ConfigKinds[K]> {
  return parseConfig(kind, await readConfigFile(file), file);
}

/** The same, with what the schema cannot say. @throws SurfacedError E_CFG_READ, E_CFG_INVALID */
export async function loadChecked<K extends Kind>(
  kind: K,
  file: string,
  check: Check<K>,
): Promise<ConfigKinds[K]> {
  return onlyOne(kind, parseConfigs(kind, await readConfigFile(file), file, check), file);
}

/** Checks one document. @throws SurfacedError E_CFG_INVALID */
export function parseConfig<K extends Kind>(kind: K, text: string, file: string): ConfigKinds[K] {
  return onlyOne(kind, parseConfigs(kind, text, file, null), file);
}

/**
 * Checks a value that does not come from a file, such as an object of the Kubernetes API.
 * @returns the frozen config, or null and everything that is wrong with the value
 */
export function checkValue<K extends Kind>(
  kind: K,
  value: unknown,
  check: Check<K>,
): { readonly config: ConfigKinds[K] | null; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const config = checkKind(kind, value, (found) => findings.push(...found));
  findings.push(...(config === null ? [] : check(config)));
  return { config: config === null || findings.length > 0 ? null : freeze(config), findings };
}

function onlyOne<K extends Kind>(kind: K, all: readonly ConfigKinds[K][], file: string): ConfigKinds[K] {
  if (all.length === 1) return all[0]!;
  throw new SurfacedError(
    'E_CFG_INVALID',
    `${file}:1:1 expected one ${kind} document, got ${all.length === 0 ? 'an empty file' : all.length}`,
  );
}

/**
 * Checks all documents of a file; empty ones are left out.
 * @param check finds what the schema cannot say; null: nothing more
 * @throws SurfacedError E_CFG_INVALID
 */
export function parseConfigs<K extends Kind>(
  kind: K,
  text: string,
  file: string,
  check: Check<K> | null,
): ConfigKinds[K][] {
  if (Buffer.byteLength(text) > maxConfigBytes) {
    throw new SurfacedError('E_CFG_INVALID', `${file}: larger than ${maxConfigBytes} bytes`);
  }
  const lines = new LineCounter();
  const configs: ConfigKinds[K][] = [];
  const findings: Located[] = [];
  try {
    // Duplicate keys are looked for here, because the library compares each key with each other one.
    const options = { prettyErrors: false, uniqueKeys: false, logLevel: 'silent' } as const;
    const composer = new Composer({ ...options, lineCounter: lines });
    for (const document of composer.compose(tokensOf(text, lines))) {
      const input = readDocument(document, findings);
      if (input === null) continue;
      const config = checkKind(kind, input.value, (found) =>
        findings.push(...found.map((finding) => locate(document, finding))),
      );
      if (config === null) continue;
      for (const finding of check?.(config) ?? []) findings.push(locate(document, finding));
      configs.push(freeze(resolvePaths(kind, config, file)));
    }
  } catch (cause) {
    // Nesting too deep, or aliases that would fill the memory.
    throw new SurfacedError('E_CFG_INVALID', `${file}: ${(cause as Error).message}`, { cause });
  }
  if (findings.length > 0) throw invalid(file, findings, lines);
  return configs;
}

/** The parts of the text; throws as soon as the nesting is too deep. */
export function* tokensOf(text: string, lines: LineCounter): Generator<CST.Token, void> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > maxDepth) throw new Error(`nested deeper than ${maxDepth} levels`);
  }
  yield* parser.end();
}

/** The plain value of a document; null when there is none or it cannot be used. */
function readDocument(document: Document, findings: Located[]): { readonly value: unknown } | null {
  const problems = [...document.errors, ...document.warnings];
  for (const problem of problems) {
    const message = (problem.message.split('\n')[0] ?? '').replace(/:$/, '').slice(0, 200);
    findings.push({ path: [], message, isAboutKey: false, offset: problem.pos[0] });
  }
  if (problems.length > 0 || document.contents === null) return null;
  // A document with duplicate keys still has a value whose other faults can be told in the same go.
  visit(document, {
    Map(_, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const name = String(key);
        const offset = startOf(key) ?? 0;
        if (seen.has(name))
          findings.push({ path: [name], message: 'is given twice', isAboutKey: true, offset });
        seen.add(name);
      }
    },
  });
  if (isScalar(document.contents) && document.contents.value === null) return null;
  return { value: document.toJS({ maxAliasCount }) };
}

function checkKind<K extends Kind>(
  kind: K,
  input: unknown,
  report: (findings: Finding[]) => void,
): ConfigKinds[K] | null {
  const actual = (input as { kind?: unknown } | null)?.kind;
  if (typeof actual === 'string' && actual !== kind && Object.hasOwn(kinds, actual)) {
    // The findings of another kind's schema would say nothing about this file.
    report([{ path: ['kind'], message: `expected "${kind}", got "${actual}"`, isAboutKey: false }]);
    return null;
  }
  const schema: z.ZodType = kinds[kind];
  const result = schema.safeParse(input);
  if (result.success) return result.data as ConfigKinds[K];
  report(findingsOf(result.error, schema, input));
  return null;
}

/** Position of a finding: its key or value, else the nearest part of the document around it. */
function locate(document: Document, finding: Finding): Located {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, part] of finding.path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(key) === String(part));
      if (!pair) break;
      const isKeyMeant = finding.isAboutKey && depth === finding.path.length - 1;
      node = pair.value;
      offset = (isKeyMeant ? null : startOf(node)) ?? startOf(pair.key) ?? offset;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return { ...finding, offset };
}

const startOf = (node: unknown): number | null =>
  (node as { range?: readonly number[] | null } | null | undefined)?.range?.[0] ?? null;

function invalid(file: string, findings: readonly Located[], lines: LineCounter): SurfacedError {
  const shown = [...findings]
    .sort((a, b) => a.offset - b.offset)
    .slice(0, maxFindingsShown)
    .map(({ path, message, offset }) => {
      const { line, col } = lines.linePos(offset);
      const field = path.length > 0 ? `${path.join('.')}: ` : '';
      return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)} ${field}${message}`.replaceAll(
        token,
        '<token>',
      );
    });
  if (findings.length > shown.length) shown.push(`... and ${findings.length - shown.length} more`);
  return new SurfacedError('E_CFG_INVALID', shown.join('\n'));
}

function resolvePaths<K extends Kind>(kind: K, config: ConfigKinds[K], file: string): ConfigKinds[K] {
  for (const field of pathFields[kind]) {
    let owner: Record<string, unknown> | undefined = config as unknown as Record<string, unknown>;
    for (const part of field.slice(0, -1)) owner = owner?.[part] as Record<string, unknown> | undefined;
    const last = field.at(-1)!;
    const value = owner?.[last];
    if (owner === undefined) continue;
    // `hw:1,0,1` names an ALSA device, not a file.
    if (typeof value === 'string' && !value.startsWith('hw:')) owner[last] = resolveBeside(file, value);
    if (Array.isArray(value)) owner[last] = value.map((entry: string) => resolveBeside(file, entry));
  }
  return config;
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}

/** The text of a file of at most 1 MiB. @throws SurfacedError E_CFG_READ, E_CFG_INVALID */
export async function readConfigFile(file: string): Promise<string> {
  return configText(await readBounded(file, maxConfigBytes), file);
}

/** The bytes of a file as text. @throws SurfacedError E_CFG_INVALID */
export function configText(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SurfacedError('E_CFG_INVALID', `${file}: not UTF-8 text`, { cause });
  }
}
