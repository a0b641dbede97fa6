/** What a gateway knows of its surfaces, read from its registry folder and its state; the gateway may run meanwhile. */
import path from 'node:path';
import { openTokens, type TokenInfo } from '../attest/enrol/tokens.ts';
import { stateError } from '../attest/state-files.ts';
import { readTrustFile, type TrustFile } from '../attest/trust/trust-file.ts';
import type { Quarantined, SurfaceTrust, TrustState } from '../attest/trust/types.ts';
import { openFolderRegistry } from '../bridge/registry/folder.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';
import { silentLog } from '../log.ts';

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
  const registry = await openFolderRegistry({ folder: config.registry.folder, log: silentLog });
  const [surfaces, problems] = [registry.list(), [...registry.problems()]];
  await registry.close();
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
    quarantine: told?.quarantine ?? [],
    surfaces: surfaces.map((surface) => {
      const { name } = surface.metadata;
      const openTokens = tokens.filter((token) => token.surface === name);
      const ekSha256 = surface.spec.tpm?.ekSha256;
      const said = told?.surfaces.find((one) => one.surface === name && one.ekSha256 === ekSha256) ?? null;
      const trust = said && asOfNow(said, config);
      return { surface, trust, openTokens, state: stateOf(surface, trust, config) };
    }),
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
