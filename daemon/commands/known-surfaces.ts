/** What a gateway knows of its surfaces, read from its registry folder and its state; the gateway may run meanwhile. */
import path from 'node:path';
import { openTokens, type TokenInfo } from '../attest/enrol/tokens.ts';
import { stateError } from '../attest/state-files.ts';
import { readTrustFile, type TrustFile } from '../attest/trust/trust-file.ts';
import type { Quarantined, SurfaceTrust, TrustState } from '../attest/trust/types.ts';
import type { SurfaceRecord } from '../bridge/registry/cluster/objects.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';
import { folderView, placeOf, type RegistryView } from './read-registry.ts';

/** `active`: without a TPM, where tokens are enough; `unapproved`: without a TPM, where they are not. */
export type ShownState = TrustState | 'active' | 'unapproved';

/** How long after the life of a certificate trust may still be in the file: the grace of the gateway and the pause of its writing. */
const lateMs = 60_000;

export interface KnownSurface {
  readonly surface: ControlSurface;
  readonly state: ShownState;
  /** What the gateway said last about the TPM that is approved now; null: nothing, or there is none. */
  readonly trust: SurfaceTrust | null;
  readonly openTokens: readonly TokenInfo[];
}

export interface KnownSurfaces {
  readonly config: GatewayConfig;
  readonly surfaces: readonly KnownSurface[];
  readonly quarantine: readonly Quarantined[];
  readonly problems: readonly { readonly source: string; readonly message: string }[];
}

/** @throws SurfacedError */
export async function readKnownSurfaces(gatewayConfigPath: string): Promise<KnownSurfaces> {
  const config = await loadConfig('Gateway', gatewayConfigPath);
  const { view, records, requests } = await readObjects(config);
  const { surfaces } = view;
  const problems = [...view.problems];
  const tokens = await openTokens({
    folder: path.join(config.stateDir, 'tokens'),
    clock: systemClock,
  }).list();
  let told: TrustFile | null = null;
  try {
    told = await readTrust(config);
  } catch (error) {
    problems.push({ source: config.stateDir, message: (error as Error).message });
  }
  return {
    config,
    problems,
    quarantine: requests ?? told?.quarantine ?? [],
    surfaces: surfaces.map((surface) => {
      const { name } = surface.metadata;
      const openTokens = tokens.filter((token) => token.surface === name);
      const ekSha256 = surface.spec.tpm?.ekSha256;
      const said = told?.surfaces.find((one) => one.surface === name && one.ekSha256 === ekSha256) ?? null;
      const record = records.get(name);
      // Whoever looks from afar has the status alone.
      const trust = said ? asOfNow(said, config) : record && ekSha256 ? trustOf(record, ekSha256) : null;
      return { surface, trust, openTokens, state: stateOf(surface, trust, config) };
    }),
  };
}

interface Objects {
  readonly view: RegistryView;
  readonly records: ReadonlyMap<string, SurfaceRecord>;
  /** Null: the registry is a folder, and who waits is in the state of the gateway. */
  readonly requests: readonly Quarantined[] | null;
}

async function readObjects(config: GatewayConfig): Promise<Objects> {
  if (!config.registry.cluster) return { view: await folderView(config), records: new Map(), requests: null };
  const { waitingOf, withCluster } = await import('./cluster-registry.ts');
  return withCluster(config, async (objects) => {
    const { records, surfaces, problems } = await objects.surfaces();
    const requests = (await objects.requests()).filter(({ facts }) => facts.ekSha256 !== '');
    return {
      view: { surfaces, problems, place: placeOf(config) },
      records: new Map(records.map((record) => [record.name, record])),
      requests: requests.map(waitingOf),
    };
  });
}

const states: ReadonlySet<string> = new Set<TrustState>(['pending', 'trusted', 'stale', 'failed', 'revoked']);

/** What the status of an object says of its trust. */
function trustOf({ name, status }: SurfaceRecord, ekSha256: string): SurfaceTrust | null {
  const attested = status.conditions.find(({ type }) => type === 'Attested');
  if (!attested) return null;
  const word = attested.status === 'True' ? 'trusted' : attested.reason.toLowerCase();
  const state = states.has(word) ? (word as TrustState) : 'pending';
  return {
    surface: name,
    ekSha256,
    state,
    level: state === 'trusted' ? ((status.level ?? 0) as SurfaceTrust['level']) : null,
    reason: attested.message,
    attestedAt: null,
    evidence: null,
    reference: null,
    hasTrustedCertificate: false,
    firmware: status.firmware,
  };
}

/** A gateway that does not run any more leaves what it said last; trust does not outlive its evidence here either. */
function asOfNow(said: SurfaceTrust, { enrol }: GatewayConfig): SurfaceTrust {
  const attestedAt = said.attestedAt ?? 0;
  const isOver = attestedAt + enrol.certificateTtlSeconds * 1000 + lateMs <= systemClock.now();
  if (said.state !== 'trusted' || !isOver) return said;
  const reason = `the gateway has seen no evidence since ${new Date(attestedAt).toISOString()}, or does not run`;
  return { ...said, state: 'stale', level: null, reference: null, reason };
}

function stateOf(
  { spec }: ControlSurface,
  trust: SurfaceTrust | null,
  { policy }: GatewayConfig,
): ShownState {
  // The file is what counts; the gateway may not have seen it yet.
  if (spec.isRevoked) return 'revoked';
  if (!spec.tpm) return policy.identity === 'token' ? 'active' : 'unapproved';
  return trust === null || trust.state === 'revoked' ? 'pending' : trust.state;
}

/** What a gateway has written about its surfaces last; null: none has run here yet. @throws SurfacedError E_STATE_DIR */
export async function readTrust({ stateDir }: GatewayConfig): Promise<TrustFile | null> {
  try {
    return await readTrustFile(stateDir);
  } catch (cause) {
    throw stateError(path.join(stateDir, 'trust.json'), cause);
  }
}
