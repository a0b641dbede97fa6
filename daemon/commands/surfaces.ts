/**
 * `surfaced surfaces list, show, revoke`: what a gateway knows, read from its registry and its state. A running gateway
 * sees a revocation as a change of the file or the object and closes the surface's sessions.
 */
import { stringify } from 'yaml';
import { caseText } from '../attest/policy/evidence-file.ts';
import { stateError } from '../attest/state-files.ts';
import type { Dossier } from '../attest/trust/dossier.ts';
import { readDossier } from '../attest/trust/dossiers.ts';
import type { Quarantined, SurfaceTrust } from '../attest/trust/types.ts';
import { levelSentences, type Verdict } from '../attest/verifier/verdict.ts';
import { changeSurface, unknownSurface } from '../bridge/registry/folder-files.ts';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import type { Output } from './cli.ts';
import { columns } from './columns.ts';
import { type KnownSurface, type KnownSurfaces, readKnownSurfaces } from './known-surfaces.ts';
import { folderOf, placeOf } from './read-registry.ts';

/** All surfaces, one a line, the TPMs that wait for approval, and the files that cannot be read. @throws SurfacedError */
export async function listSurfaces(options: {
  readonly gatewayConfigPath: string;
  readonly output: Output;
}): Promise<string> {
  const { surfaces, quarantine, problems } = await readKnownSurfaces(options.gatewayConfigPath);
  if (options.output === 'json') {
    const listed = surfaces.map(({ surface: { metadata, spec }, state, trust, openTokens }) => ({
      name: metadata.name,
      state,
      isRevoked: spec.isRevoked,
      ekSha256: spec.tpm?.ekSha256 ?? null,
      level: state === 'trusted' ? (trust?.level ?? null) : null,
      attestedAt: timeOf(trust?.attestedAt ?? null),
      reason: trust?.reason ?? null,
      bindings: spec.bindings.length,
      openTokens: openTokens.length,
    }));
    const waiting = quarantine.map(({ firstSeenAt, lastSeenAt, ...one }) => ({
      ...one,
      firstSeenAt: timeOf(firstSeenAt),
      lastSeenAt: timeOf(lastSeenAt),
    }));
    return `${JSON.stringify({ surfaces: listed, quarantine: waiting, problems }, null, 2)}\n`;
  }
  const head = ['NAME', 'STATE', 'LEVEL', 'EK', 'LAST ATTESTED', 'BINDINGS', 'OPEN TOKENS'];
  const rows = surfaces.map(({ surface: { metadata, spec }, state, trust, openTokens }) => [
    metadata.name,
    state,
    state === 'trusted' ? `${trust?.level ?? '-'}` : '-',
    spec.tpm?.ekSha256.slice(0, 12) ?? '-',
    timeOf(trust?.attestedAt ?? null) ?? '-',
    `${spec.bindings.length}`,
    `${openTokens.length}`,
  ]);
  const reasons = surfaces.flatMap(({ surface, state, trust }) =>
    trust && (state === 'failed' || state === 'stale') ? [`${surface.metadata.name}: ${trust.reason}\n`] : [],
  );
  const faults = problems.map(({ message }) => `\nproblem: ${message}\n`);
  return [columns([head, ...rows]), ...reasons, waitingText(quarantine), ...faults].join('');
}

function waitingText(quarantine: readonly Quarantined[]): string {
  if (quarantine.length === 0) return '';
  const rows = quarantine.map((one) => [
    one.pairingCode,
    one.address,
    timeOf(one.firstSeenAt) ?? '',
    one.ekSha256.slice(0, 12),
    one.hasTrustedCertificate ? 'trusted' : `not trusted: ${one.certificate}`,
  ]);
  const table = columns([['CODE', 'ADDRESS', 'WAITS SINCE', 'EK', 'CERTIFICATE'], ...rows]);
  return `\nTPMs that wait for approval; compare the code with the panel:\n${table}`;
}

/** One surface with its defaults filled in, its state, and what the last verdict said. @throws SurfacedError E_SURFACE_UNKNOWN */
export async function showSurface(options: {
  readonly gatewayConfigPath: string;
  readonly name: string;
  readonly output: Output;
}): Promise<string> {
  const { known, all } = await find(options.gatewayConfigPath, options.name);
  const { surface, state, trust } = known;
  const verdict = (await dossierOf(known, all))?.verdict ?? null;
  const tokens = known.openTokens.map(({ id, usesLeft, expiresAt }) => ({
    id,
    usesLeft,
    expiresAt: timeOf(expiresAt),
  }));
  if (options.output === 'json')
    return `${JSON.stringify({ surface, state, trust, verdict, openTokens: tokens }, null, 2)}\n`;
  // As comments, so that what is left is a whole file.
  const notes = [
    ...(surface.spec.tpm ? [`state: ${state}${trust ? `, ${trust.reason}` : ''}`] : []),
    ...(trust ? trustLines(trust) : []),
    ...(verdict ? verdictLines(verdict) : []),
    ...tokens.map((token) => `open token ${token.id}: ${token.usesLeft} uses until ${token.expiresAt}`),
  ];
  return `${notes.map((note) => `# ${note}\n`).join('')}${stringify(surface, { lineWidth: 0 })}`;
}

const trustLines = ({ level, attestedAt, evidence, reference, firmware }: SurfaceTrust): string[] => [
  ...(level === null ? [] : [`level ${level}: ${levelSentences[level]}`]),
  ...(attestedAt === null ? [] : [`last accepted evidence: ${timeOf(attestedAt)} (${evidence})`]),
  ...(reference === null ? [] : [`reference values: ${reference.name} version ${reference.version}`]),
  ...(firmware === null ? [] : [`software, by its own word: ${firmware}`]),
];

const verdictLines = ({ checks, measured }: Verdict): string[] => [
  `last verdict: ${measured.firmwareEvents} firmware events, ${measured.files} files, ${measured.systemdRecords} records of systemd, ${measured.imaEntries} IMA entries`,
  ...columns(checks.map(({ name, outcome, reason }) => ['', outcome, name, reason]))
    .split('\n')
    .filter((line) => line !== ''),
];

/**
 * The last evidence of a surface as a file that `surfaced policy test` reads.
 * @throws SurfacedError E_SURFACE_UNKNOWN, E_STATE_DIR, E_USAGE when there is none
 */
export async function showEvidence(gatewayConfigPath: string, name: string): Promise<string> {
  const { known, all } = await find(gatewayConfigPath, name);
  const dossier = await dossierOf(known, all);
  if (!dossier) throw new SurfacedError('E_USAGE', `there is no evidence of "${name}" yet`);
  return caseText(dossier.case);
}

async function find(
  gatewayConfigPath: string,
  name: string,
): Promise<{ readonly known: KnownSurface; readonly all: KnownSurfaces }> {
  const all = await readKnownSurfaces(gatewayConfigPath);
  const known = all.surfaces.find(({ surface }) => surface.metadata.name === name);
  if (!known) throw unknownSurface(name, placeOf(all.config));
  return { known, all };
}

async function dossierOf({ surface }: KnownSurface, { config }: KnownSurfaces): Promise<Dossier | null> {
  if (!surface.spec.tpm) return null;
  try {
    return await readDossier(config.stateDir, surface.spec.tpm.ekSha256);
  } catch (cause) {
    throw stateError(`evidence of ${surface.metadata.name} in ${config.stateDir}`, cause);
  }
}

/**
 * Revokes a surface, or lets it act again, by `spec.isRevoked` in its file, whose comments stay, or in its object.
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
  const config = await loadConfig('Gateway', options.gatewayConfigPath);
  const files = config.registry.cluster
    ? await revokeInCluster(config, name, isRevoked)
    : await changeSurface({
        folder: folderOf(config),
        name,
        change: (document) => document.setIn(['spec', 'isRevoked'], isRevoked),
      });
  if (files.length === 0) throw unknownSurface(name, placeOf(config));
  if (options.output === 'json') return `${JSON.stringify({ name, isRevoked, files }, null, 2)}\n`;
  const done = isRevoked ? 'is revoked; a running gateway ends its sessions now' : 'may act again';
  return `Surface ${name} ${done} (${files.join(', ')}).\n`;
}

/** @returns what was changed, in the place of files */
async function revokeInCluster(config: GatewayConfig, name: string, isRevoked: boolean): Promise<string[]> {
  const { withCluster } = await import('./cluster-registry.ts');
  const isThere = await withCluster(config, (objects) => objects.change(name, { isRevoked }));
  return isThere ? [`ControlSurface ${config.registry.cluster?.namespace}/${name}`] : [];
}

const timeOf = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : new Date(milliseconds).toISOString();
