/** `surfaced updates roll`, `show`, `pause`, `resume`, `abort`: Rollout files in the gateway's folder, and what came of them. */
import { readdir, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { type Document, parseAllDocuments, stringify } from 'yaml';
import { wordsOf } from '../bridge/rollout/fleet.ts';
import { keptFile, readKept } from '../bridge/rollout/kept.ts';
import { systemClock } from '../clock.ts';
import { parseConfigs, readConfigFile } from '../config/load.ts';
import { apiVersion, type Rollout } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { policyGate, readKeptFile } from '../gateway-updates.ts';
import { fileError, replaceFile, writeBeside } from '../whole-files.ts';
import type { Output } from './cli.ts';
import { columns } from './columns.ts';
import { placeOf } from './read-registry.ts';
import { loadUpdatingGateway, type UpdatingGateway, withUpdates } from './updates-bundles.ts';

interface Which {
  readonly gatewayConfigPath: string;
  readonly name: string;
  readonly output: Output;
}

const refuse = (message: string): SurfacedError => new SurfacedError('E_ROLLOUT', message);

/**
 * Begins a rollout. Refused when the bundle is not there, a surface is unknown, or the policy of one would lock it out.
 * @throws SurfacedError E_USAGE, E_ROLLOUT, E_CFG_READ, E_CFG_INVALID
 */
export async function roll(options: {
  readonly gatewayConfigPath: string;
  readonly version: string;
  /** Null: all, if `isForAll`. */
  readonly surfaces: readonly string[] | null;
  readonly isForAll: boolean;
  readonly atOnce: number;
  readonly stopAfterFailures: number;
  /** Null: made of the version. */
  readonly name: string | null;
  readonly isPaused: boolean;
  readonly output: Output;
}): Promise<string> {
  const { version, surfaces: wanted, isForAll, atOnce, stopAfterFailures, isPaused, output } = options;
  if (isForAll === (wanted !== null))
    throw new SurfacedError('E_USAGE', 'say which surfaces: --surfaces with their names, or --all');
  const names = wanted?.flatMap((text) => text.split(',')).filter((name) => name !== '') ?? null;
  const config = await loadUpdatingGateway(options.gatewayConfigPath);
  return withUpdates(config, async ({ folder, policies, surfaces }) => {
    const offer = folder.offer(version);
    if (offer === null) {
      const file = path.join(config.updates.folder, `${version}.raucb`);
      const problem = folder.problems().find(({ source }) => source === file);
      throw refuse(
        problem?.message ?? `${file}: there is no such bundle; add it with \`surfaced updates add\``,
      );
    }
    const meant = surfaces.filter(({ metadata }) => names === null || names.includes(metadata.name));
    const unknown = names?.filter((name) => !meant.some(({ metadata }) => metadata.name === name)) ?? [];
    if (unknown.length > 0) throw refuse(`not in ${placeOf(config)}: ${unknown.join(', ')}`);
    const obstacleOf = policyGate(policies, systemClock);
    const blocked = meant.flatMap((surface) => {
      const obstacle = surface.spec.isRevoked ? null : obstacleOf(surface, offer);
      return obstacle === null ? [] : [`${surface.metadata.name}: ${obstacle}`];
    });
    if (blocked.length > 0)
      throw refuse(`would be locked out, so nobody is asked:\n  ${blocked.join('\n  ')}`);
    const taken = new Set(folder.rollouts().map(({ metadata }) => metadata.name));
    const name = options.name ?? freeName(version, taken);
    if (taken.has(name)) throw refuse(`there is a rollout "${name}" already; choose another --name`);
    const spec = { version, ...(names && { surfaces: names }), atOnce, stopAfterFailures, isPaused };
    const text = stringify({ apiVersion, kind: 'Rollout', metadata: { name }, spec }, { lineWidth: 0 });
    const file = path.join(config.updates.folder, `${name}.yaml`);
    parseConfigs('Rollout', text, file, null);
    if (await stat(file).catch(() => null)) throw refuse(`${file}: is there already; choose another --name`);
    await writeBeside(file, { text, like: config.updates.folder, mode: 0o644 }, 'E_ROLLOUT');
    if (output === 'json') return `${JSON.stringify({ name, file, ...spec }, null, 2)}\n`;
    const whom = names === null ? 'all surfaces' : names.join(', ');
    return `Rollout ${name} to ${version}: ${whom}, ${atOnce} at once, stops after ${stopAfterFailures} failed. Follow it with \`surfaced updates show ${name}\`.\n`;
  });
}

function freeName(version: string, taken: ReadonlySet<string>): string {
  const base = `to-${version.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
  for (let count = 1; ; count++) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!taken.has(name)) return name;
  }
}

/** How far surfaces have come, as the gateway has written it down last. @throws SurfacedError */
export async function showRollouts(options: {
  readonly gatewayConfigPath: string;
  /** Null: all. */
  readonly name: string | null;
  readonly output: Output;
}): Promise<string> {
  const { gatewayConfigPath, name, output } = options;
  const config = await loadUpdatingGateway(gatewayConfigPath);
  const file = path.join(config.stateDir, keptFile);
  const text = await readKeptFile(file);
  const states = text === null ? new Map() : readKept(text, file, 0);
  return withUpdates(config, async ({ folder }) => {
    const rollouts = folder.rollouts().filter(({ metadata }) => name === null || metadata.name === name);
    if (rollouts.length === 0 && name !== null) throw refuse(noSuch(config, name));
    const shown = rollouts.map((rollout) => {
      const state = states.get(rollout.metadata.name);
      const isKnown = state !== undefined && state.version === rollout.spec.version;
      const surfaces = isKnown ? [...state.surfaces] : [];
      return {
        name: rollout.metadata.name,
        ...rollout.spec,
        state: isKnown ? wordsOf(rollout, state) : 'the gateway has not begun with it',
        surfaces: surfaces.map(([surface, { phase, detail, at, from, asks }]) => ({
          surface,
          phase,
          since: new Date(at).toISOString(),
          from,
          asks,
          detail,
        })),
      };
    });
    if (output === 'json') return `${JSON.stringify(shown, null, 2)}\n`;
    return shown
      .map((rollout) => {
        const rows = rollout.surfaces.map((one) => [
          one.surface,
          one.phase,
          one.since,
          one.from ?? '-',
          one.detail,
        ]);
        return `${rollout.name} to ${rollout.version}: ${rollout.state}\n${columns([['SURFACE', 'PHASE', 'SINCE', 'FROM', 'WHY'], ...rows])}`;
      })
      .join('\n');
  });
}

/** @throws SurfacedError E_ROLLOUT, E_CFG_READ, E_CFG_INVALID */
export async function pauseRollout(which: Which): Promise<string> {
  await changeRollout(which, (document) => document.setIn(['spec', 'isPaused'], true));
  return told(which, 'paused', `Rollout ${which.name} is paused; surfaces on their way go on.\n`);
}

/**
 * @param which.stopAfterFailures null: as it is
 * @throws SurfacedError E_ROLLOUT, E_CFG_READ, E_CFG_INVALID
 */
export async function resumeRollout(
  which: Which & { readonly stopAfterFailures: number | null },
): Promise<string> {
  await changeRollout(which, (document) => {
    document.deleteIn(['spec', 'isPaused']);
    if (which.stopAfterFailures !== null)
      document.setIn(['spec', 'stopAfterFailures'], which.stopAfterFailures);
  });
  return told(which, 'resumed', `Rollout ${which.name} goes on.\n`);
}

/** @throws SurfacedError E_ROLLOUT, E_CFG_READ, E_CFG_INVALID */
export async function abortRollout(which: Which): Promise<string> {
  await changeRollout(which, null);
  return told(which, 'aborted', `Rollout ${which.name} is taken away; surfaces that were asked go on.\n`);
}

const told = ({ name, output }: Which, what: string, words: string): string =>
  output === 'json' ? `${JSON.stringify({ name, what })}\n` : words;

/** Changes the document of a rollout, or removes it (null); comments stay. */
async function changeRollout(
  { gatewayConfigPath, name }: Which,
  change: ((document: Document) => void) | null,
): Promise<void> {
  const config = await loadUpdatingGateway(gatewayConfigPath);
  const { folder } = config.updates;
  const names = await readdir(folder).catch((cause: unknown) => {
    throw fileError('E_ROLLOUT', folder, cause);
  });
  let broken: unknown = null;
  for (const entry of names.filter((one) => /^[^.].*\.ya?ml$/i.test(one)).sort()) {
    const file = path.join(folder, entry);
    let text: string;
    try {
      text = await readConfigFile(file);
      // The gateway would not look at a changed file that is broken elsewhere, so it is not changed.
      parseConfigs('Rollout', text, file, null);
    } catch (error) {
      broken = error;
      continue;
    }
    const documents = parseAllDocuments(text);
    const ours = documents.filter(
      (document) => (document.toJS() as Partial<Rollout> | null)?.metadata?.name === name,
    );
    if (ours.length === 0) continue;
    const left = change === null ? documents.filter((document) => !ours.includes(document)) : documents;
    if (change !== null) for (const document of ours) change(document);
    if (left.length === 0) {
      await unlink(file).catch((cause: unknown) => {
        throw fileError('E_ROLLOUT', file, cause);
      });
      return;
    }
    for (const document of left.slice(1)) document.directives!.docStart = true;
    const changed = left.map((document) => document.toString({ lineWidth: 0 })).join('');
    parseConfigs('Rollout', changed, file, null);
    await replaceFile(file, changed, 'E_ROLLOUT');
    return;
  }
  throw broken ?? refuse(noSuch(config, name));
}

const noSuch = (config: UpdatingGateway, name: string): string =>
  `there is no rollout "${name}" in ${config.updates.folder}`;
