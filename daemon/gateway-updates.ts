/** Updates of a gateway: its folder of bundles and rollouts, policy as the gate, audit log and broker, wired together. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Audit } from './attest/audit/types.ts';
import { createRateLimit } from './attest/enrol/rate-limit.ts';
import type { EnrolServerOptions } from './attest/enrol/server.ts';
import { networkOf } from './attest/network.ts';
import { referenceOfVersion, takes } from './attest/policy/acceptance.ts';
import type { Reference } from './attest/policy/reference-set.ts';
import type { PolicyStore } from './attest/policy/types.ts';
import { writeStateFile } from './attest/state-files.ts';
import { systemTimers } from './bridge/gateway/timers.ts';
import type { Registry } from './bridge/registry/types.ts';
import { type Fleet, startFleet } from './bridge/rollout/fleet.ts';
import { type Offer, openUpdatesFolder } from './bridge/rollout/folder.ts';
import { keptFile, mostKeptBytes } from './bridge/rollout/kept.ts';
import { bundleRoute, serveBundles } from './bridge/rollout/serve.ts';
import { type CtlMessage, encode } from './bridge/wire/messages.ts';
import { wireVersion } from './bridge/wire/topics.ts';
import type { Clock } from './clock.ts';
import { readBounded } from './config/read-bounded.ts';
import type { ControlSurface, GatewayConfig } from './config/schema.ts';
import { SurfacedError } from './errors.ts';
import type { Log } from './log.ts';
import { readBundle } from './update/bundle.ts';

/** Certificates of CAs; more would not be a keyring. */
const mostKeyringBytes = 256 * 1024;

type Updates = NonNullable<GatewayConfig['updates']>;

/** What a gateway that offers updates has open. */
export interface OpenUpdates {
  readonly fleet: Fleet;
  /** For the server where surfaces enrol. */
  readonly more: NonNullable<EnrolServerOptions['more']>;
  close(): Promise<void>;
}

/**
 * Opens them; null: the Gateway file names none.
 * @param options.send publishes to `down/ctl` of a surface
 * @throws SurfacedError E_ROLLOUT, E_CFG_READ, E_CFG_INVALID
 */
export async function openUpdates(options: {
  readonly config: GatewayConfig;
  readonly registry: Registry;
  readonly policies: PolicyStore;
  readonly audit: Audit;
  readonly send: (surface: string, payload: Uint8Array) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<OpenUpdates | null> {
  const { config, registry, policies, audit, send, clock, log } = options;
  if (config.updates === undefined) return null;
  const { folder: root } = config.updates;
  const read = await bundleReader(config.updates, clock);
  const folder = await openUpdatesFolder({ folder: root, readBundle: read, log });
  try {
    const gate = policyGate(policies, clock);
    const file = path.join(config.stateDir, keptFile);
    const fleet = await startFleet({
      folder,
      registry,
      store: {
        file,
        read: () => readKeptFile(file),
        write: async (text) => {
          await writeStateFile(file, text, { isExclusive: false });
        },
      },
      obstacleOf: gate,
      ask: ({ surface, offer: { version, manifestSha256 } }) => {
        const message: CtlMessage = { v: wireVersion, type: 'update', version, manifestSha256 };
        return send(surface, encode(message));
      },
      record: (event) => audit.append({ kind: 'update', ...event }),
      clock,
      timers: systemTimers,
      log,
    });
    const add = serveBundles({ folder, root, clock, createRateLimit, networkOf });
    return {
      fleet,
      more: { route: bundleRoute, add },
      close: async () => {
        await fleet.close();
        await folder.close();
      },
    };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/** Reads bundles of signers whom a Gateway file trusts. @throws SurfacedError E_CFG_READ, E_CFG_INVALID */
export async function bundleReader(
  { trustedSigners }: Updates,
  clock: Clock,
): Promise<(file: string) => Promise<Omit<Offer, 'file'>>> {
  const trusted = (await readBounded(trustedSigners, mostKeyringBytes)).toString('latin1');
  return async (file) => {
    const bundle = await readBundle(file, { trusted, at: new Date(clock.now()) });
    const { version, bytes, manifestSha256, references, signer } = bundle;
    // A set that cannot be read would be found out only when a surface was asked to run what it is for.
    referenceOfVersion(references, `${file}: references`);
    return { version, bytes, manifestSha256, references, signer: signer.name };
  };
}

/**
 * Why a surface must not be asked to run a version: its policy would not take it, and lock it out. Null: it would, or the
 * surface has no policy.
 */
export function policyGate(
  policies: Pick<PolicyStore, 'inForce'>,
  clock: Clock,
): (surface: ControlSurface, offer: Offer) => string | null {
  const known = new Map<string, Reference>();
  return ({ spec }, offer) => {
    if (spec.policy === undefined) return null;
    const next = known.get(offer.manifestSha256) ?? referenceOfVersion(offer.references, offer.file);
    known.set(offer.manifestSha256, next);
    const sets = policies.inForce(spec.policy, clock.now());
    if (sets.some((set) => takes(set, next))) return null;
    return `its policy "${spec.policy}" has no set in force that takes ${offer.version}`;
  };
}

/** Null: there is none yet. @throws SurfacedError E_ROLLOUT */
export async function readKeptFile(file: string): Promise<string | null> {
  try {
    const { size } = await stat(file);
    if (size > mostKeptBytes)
      throw new SurfacedError('E_ROLLOUT', `${file}: larger than ${mostKeptBytes} bytes`);
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof SurfacedError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new SurfacedError('E_ROLLOUT', `${file}: cannot be read (${code})`, { cause });
  }
}
