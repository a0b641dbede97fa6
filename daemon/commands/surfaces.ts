/**
 * `surfaced surfaces list, show, revoke`: what a gateway knows, read from its registry folder and its state. A
 * running gateway sees a revocation as a change of the file and closes the surface's sessions. Approval belongs
 * to attestation by TPM and is not here.
 */
import { randomBytes } from 'node:crypto';
import { chmod, chown, readdir, realpath, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { openTokens, type TokenInfo } from '../attest/enrol/tokens.ts';
import { checkSurface } from '../bridge/registry/check.ts';
import { openFolderRegistry } from '../bridge/registry/folder.ts';
import { systemClock } from '../clock.ts';
import { loadConfig, parseConfigs, readConfigFile } from '../config/load.ts';
import type { ControlSurface } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Output } from './cli.ts';

interface Known {
  readonly folder: string;
  readonly surfaces: readonly ControlSurface[];
  readonly problems: readonly { readonly source: string; readonly message: string }[];
  readonly tokens: readonly TokenInfo[];
}

async function read(gatewayConfigPath: string): Promise<Known> {
  const { registry: place, stateDir } = await loadConfig('Gateway', gatewayConfigPath);
  const registry = await openFolderRegistry({ folder: place.folder, log: silentLog });
  const [surfaces, problems] = [registry.list(), registry.problems()];
  await registry.close();
  const tokens = openTokens({ folder: path.join(stateDir, 'tokens'), clock: systemClock });
  return { folder: place.folder, surfaces, problems, tokens: await tokens.list() };
}

const tokensOf = (known: Known, name: string) => known.tokens.filter(({ surface }) => surface === name);

/** All surfaces, one a line, and the files that cannot be read. @throws SurfacedError */
export async function listSurfaces(options: {
  readonly gatewayConfigPath: string;
  readonly output: Output;
}): Promise<string> {
  const known = await read(options.gatewayConfigPath);
  const surfaces = known.surfaces.map(({ metadata: { name }, spec }) => ({
    name,
    isRevoked: spec.isRevoked,
    bindings: spec.bindings.length,
    openTokens: tokensOf(known, name).length,
  }));
  const { problems } = known;
  if (options.output === 'json') return `${JSON.stringify({ surfaces, problems }, null, 2)}\n`;
  const rows = surfaces.map(({ name, isRevoked, bindings, openTokens }) => [
    name,
    isRevoked ? 'revoked' : 'active',
    `${bindings}`,
    `${openTokens}`,
  ]);
  const table = columns([['NAME', 'STATE', 'BINDINGS', 'OPEN TOKENS'], ...rows]);
  return `${table}${problems.map(({ message }) => `\nproblem: ${message}\n`).join('')}`;
}

/** One surface with its defaults filled in. @throws SurfacedError E_SURFACE_UNKNOWN */
export async function showSurface(options: {
  readonly gatewayConfigPath: string;
  readonly name: string;
  readonly output: Output;
}): Promise<string> {
  const known = await read(options.gatewayConfigPath);
  const surface = known.surfaces.find(({ metadata }) => metadata.name === options.name);
  if (!surface) throw unknown(options.name, known.folder);
  const tokens = tokensOf(known, options.name).map(({ id, usesLeft, expiresAt }) => ({
    id,
    usesLeft,
    expiresAt: new Date(expiresAt).toISOString(),
  }));
  if (options.output === 'json') return `${JSON.stringify({ surface, openTokens: tokens }, null, 2)}\n`;
  const lines = tokens.map(
    (token) => `# open token ${token.id}: ${token.usesLeft} uses until ${token.expiresAt}\n`,
  );
  return `${lines.join('')}${stringify(surface, { lineWidth: 0 })}`;
}

/**
 * Revokes a surface, or lets it act again, by `spec.isRevoked` in its file; comments stay.
 * @throws SurfacedError E_SURFACE_UNKNOWN, E_CFG_INVALID when the file is broken otherwise, E_REGISTRY
 */
export async function revokeSurface(options: {
  readonly gatewayConfigPath: string;
  readonly name: string;
  /** False takes a revocation back. */
  readonly isRevoked: boolean;
  readonly output: Output;
}): Promise<string> {
  const { name, isRevoked } = options;
  const { folder } = (await loadConfig('Gateway', options.gatewayConfigPath)).registry;
  const files: string[] = [];
  let broken: unknown = null;
  for (const entry of (await namesIn(folder)).filter((file) => /^[^.].*\.ya?ml$/i.test(file)).sort()) {
    const file = path.join(folder, entry);
    let text: string;
    try {
      text = await readConfigFile(file);
      // The gateway would not look at a changed file that is broken elsewhere, so it is not changed.
      parseConfigs('ControlSurface', text, file, checkSurface);
    } catch (error) {
      broken = error;
      continue;
    }
    const documents = parseAllDocuments(text);
    const ours = documents.filter((document) => document.getIn(['metadata', 'name']) === name);
    if (ours.length === 0) continue;
    for (const document of ours) document.setIn(['spec', 'isRevoked'], isRevoked);
    for (const document of documents.slice(1)) document.directives!.docStart = true;
    const changed = documents.map((document) => document.toString({ lineWidth: 0 })).join('');
    await replaceFile(file, changed);
    files.push(file);
  }
  if (files.length === 0) throw broken ?? unknown(name, folder);
  if (options.output === 'json') return `${JSON.stringify({ name, isRevoked, files }, null, 2)}\n`;
  const done = isRevoked ? 'is revoked; a running gateway ends its sessions now' : 'may act again';
  return `Surface ${name} ${done} (${files.join(', ')}).\n`;
}

const unknown = (name: string, folder: string) =>
  new SurfacedError('E_SURFACE_UNKNOWN', `there is no surface "${name}" in ${folder}`);

const registryError = (file: string, cause: unknown) =>
  new SurfacedError('E_REGISTRY', `${file}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`, {
    cause,
  });

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: unknown) => {
    throw registryError(folder, cause);
  });
}

/** In one step, so that the gateway never reads half a file; a link keeps pointing where it did. */
async function replaceFile(file: string, text: string): Promise<void> {
  try {
    const target = await realpath(file);
    const beside = path.join(
      path.dirname(target),
      `.${path.basename(target)}.${randomBytes(4).toString('hex')}`,
    );
    await writeFile(beside, text, { flag: 'wx' });
    // With the owner of the old one: whoever revokes may be root, and the gateway must be able to read it.
    const [{ mode, uid, gid }, fresh] = await Promise.all([stat(target), stat(beside)]);
    if (fresh.uid !== uid || fresh.gid !== gid) await chown(beside, uid, gid);
    await chmod(beside, mode & 0o777);
    await rename(beside, target);
  } catch (cause) {
    throw registryError(file, cause);
  }
}

/** Rows with their columns in line. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((value, column) => value.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
