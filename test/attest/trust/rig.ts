/** What the tests of trust share: the real verifier among stand-ins that can be held, changed and broken. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import type { Audit, AuditEvent } from '../../../daemon/attest/audit/types.ts';
import type { Match, PolicyStore, References } from '../../../daemon/attest/policy/types.ts';
import { type Disk, disk as realDisk } from '../../../daemon/attest/trust/disk.ts';
import type { TrustOptions, Verifier } from '../../../daemon/attest/trust/parts.ts';
import { openTrustOn } from '../../../daemon/attest/trust/trust.ts';
import type { Attested, Attesting, Begun } from '../../../daemon/attest/trust/types.ts';
import { judgeKeys } from '../../../daemon/attest/verifier/keys.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { createMemoryRegistry, type MemoryRegistry } from '../../../daemon/bridge/registry/memory.ts';
import type { Clock } from '../../../daemon/clock.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { apiVersion, type ControlSurface, type GatewayConfig } from '../../../daemon/config/schema.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import { bound, type Machine } from './machine.ts';

export const now = Date.UTC(2027, 5, 1);
/** Life of certificates here, and how long trust lasts without new evidence, milliseconds. */
export const lifeMs = 600_000;
export const limitMs = lifeMs + 30_000;

/** Both clocks, moved apart from each other where a test wants it. */
export class TwoClocks implements Clock {
  wall = now;
  steady = 1_000_000;
  now = () => this.wall;
  monotonic = () => this.steady;
  pass(milliseconds: number): void {
    this.wall += milliseconds;
    this.steady += milliseconds;
  }
}

/** An audit log in memory. */
export class PaperAudit extends EventEmitter<{ event: [AuditEvent] }> implements Audit {
  readonly events: AuditEvent[] = [];
  isBroken = false;
  /** Called before each record, and waited for. */
  gate: (event: AuditEvent) => Promise<void> = async () => {};
  async append(event: AuditEvent): Promise<void> {
    await this.gate(event);
    if (this.isBroken) throw new SurfacedError('E_AUDIT_WRITE', 'the disk is full');
    this.events.push(event);
    this.emit('event', event);
  }
  async close(): Promise<void> {}
  of<Kind extends AuditEvent['kind']>(kind: Kind): Extract<AuditEvent, { kind: Kind }>[] {
    return this.events.filter((event): event is Extract<AuditEvent, { kind: Kind }> => event.kind === kind);
  }
}

/** One policy, `baseline`: the files that may have been measured. */
export class PaperPolicies implements PolicyStore {
  allowed: ReadonlySet<string> | null;
  readonly #listeners: (() => void)[] = [];
  constructor(...allowed: string[]) {
    this.allowed = new Set(allowed);
  }
  allow(...allowed: string[]): void {
    this.allowed = new Set(allowed);
    this.changed();
  }
  changed(): void {
    for (const listener of this.#listeners) listener();
  }
  inForce(): readonly [] {
    return [];
  }
  references(name: string): References | null {
    const { allowed } = this;
    if (name !== 'baseline' || allowed === null) return null;
    const match = ({ measured }: { measured: Iterable<unknown> | null }): Match => {
      const paths = [...(measured ?? [])].map(
        (record) => (record as { content: { path: string } }).content.path,
      );
      const other = paths.find((path) => !allowed.has(path));
      if (other !== undefined) return { isMatch: false, reasons: [`${other} is not in the set`] };
      const reference = { name, version: 1, sha256: 'ab'.repeat(32) };
      return { isMatch: true, reference, covers: { files: true, firmwareGap: 'not listed', ima: false } };
    };
    return { name, match };
  }
  problems = () => [];
  list = () => [];
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
  async close(): Promise<void> {}
}

/** A surface with this machine, measured at level 1 against `baseline` unless told otherwise. */
export const surfaceOf = (
  name: string,
  machine: Pick<Machine, 'ekSha256'> | null,
  spec: { policy?: string | null; level?: number; isRevoked?: boolean } = {},
): ControlSurface => {
  const { policy = 'baseline', level = 1, isRevoked = false } = spec;
  const tpm = machine && { ekSha256: machine.ekSha256, assertedLevel: level };
  return parseConfig(
    'ControlSurface',
    JSON.stringify({
      apiVersion,
      kind: 'ControlSurface',
      metadata: { name },
      spec: { ...(tpm && { tpm }), ...(policy && { policy }), isRevoked },
    }),
    'test',
  );
};

export const caPin = `sha256:${'5a'.repeat(32)}`;

export interface Rig {
  readonly stateDir: string;
  readonly config: GatewayConfig;
  readonly clock: TwoClocks;
  readonly audit: PaperAudit;
  readonly policies: PaperPolicies;
  readonly registry: MemoryRegistry;
  readonly verifier: { -readonly [Name in keyof Verifier]: Verifier[Name] };
  readonly trust: Attesting;
  /** What listeners were told: `name state`. */
  readonly told: string[];
  /** Ends this gateway and starts the next one on the same folder. */
  restart(change?: Partial<Pick<TrustOptions, 'config'>>): Promise<Rig>;
}

export interface Start {
  readonly surfaces: readonly ControlSurface[];
  readonly stateDir?: string;
  readonly clock?: TwoClocks;
  readonly audit?: PaperAudit;
  readonly policies?: PaperPolicies;
  readonly registry?: MemoryRegistry;
  readonly config?: GatewayConfig;
  readonly policy?: Record<string, unknown>;
  readonly disk?: Disk;
}

const homes = new WeakMap<Test, string>();

/** An empty folder; everything that was started before it is closed before it is removed. */
export function newFolder(t: Test): string {
  // Registered first, or the folder would be removed before what is torn down has been closed.
  if (!homes.has(t)) t.teardown(() => undefined);
  const home = homes.get(t) ?? t.testdir();
  homes.set(t, home);
  return mkdtempSync(path.join(home, 'state-'));
}

/** A gateway's trust in a folder of its own. */
export async function startRig(t: Test, start: Start): Promise<Rig> {
  const stateDir = start.stateDir ?? newFolder(t);
  const config =
    start.config ??
    parseConfig(
      'Gateway',
      JSON.stringify({
        apiVersion,
        kind: 'Gateway',
        stateDir,
        registry: { folder: stateDir },
        policy: start.policy ?? {},
      }),
      'test',
    );
  const clock = start.clock ?? new TwoClocks();
  const audit = start.audit ?? new PaperAudit();
  const policies = start.policies ?? new PaperPolicies('/good');
  const registry = start.registry ?? createMemoryRegistry(start.surfaces);
  const verifier = { judgeKeys, verify };
  const trust = await openTrustOn(
    {
      config,
      registry,
      policies,
      audit,
      verifier,
      roots: [],
      caPin,
      clock,
      random: randomBytes,
      log: silentLog,
    },
    start.disk ?? realDisk,
  );
  t.teardown(() => trust.close());
  const told: string[] = [];
  trust.onChange((names) => {
    for (const name of names) told.push(`${name} ${trust.of(name)?.state ?? 'gone'}`);
  });
  return {
    stateDir,
    config,
    clock,
    audit,
    policies,
    registry,
    verifier,
    trust,
    told,
    restart: async (change = {}) => {
      const policiesNow = new PaperPolicies(...(policies.allowed ?? []));
      const registryNow = createMemoryRegistry(registry.list());
      await trust.close();
      return await startRig(t, {
        surfaces: [],
        stateDir,
        clock,
        audit,
        policies: policiesNow,
        registry: registryNow,
        config: change.config ?? config,
      });
    },
  };
}

export type Challenged = Extract<Begun, { kind: 'challenged' }>;

/** `begin` of a TPM that has a name. */
export async function challenge(rig: Rig, machine: Machine, isRenewal = false): Promise<Challenged> {
  const request = { claims: machine.claims, firmware: '1.0.0', address: '192.0.2.1', isRenewal };
  const begun = await rig.trust.begin(request);
  if (begun.kind !== 'challenged') throw new Error('it is in quarantine');
  return begun;
}

/** Everything as it should be. */
export async function attest(rig: Rig, machine: Machine, isRenewal = false): Promise<Attested> {
  const begun = await challenge(rig, machine, isRenewal);
  return await rig.trust.finish(begun, { evidence: machine.prove(begun.challenge), ...bound });
}

/** The code that something fails with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return error instanceof SurfacedError ? `${error.code} ${error.message}` : String(error);
  }
}

/** The next change of trust. */
export const nextChange = (rig: Rig): Promise<readonly string[]> =>
  new Promise((resolve) => {
    rig.trust.onChange(resolve);
  });

/** The next record of the audit log. */
export const nextRecord = async (rig: Rig): Promise<AuditEvent> =>
  ((await once(rig.audit, 'event')) as [AuditEvent])[0];
