/** Everything of attestation that a gateway has open: roots, reference sets, audit log and trust, in the order in which they need each other. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Registry } from '../bridge/registry/types.ts';
import type { Clock } from '../clock.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { PartHealth } from '../health.ts';
import type { Log } from '../log.ts';
import { version } from '../version.ts';
import { openAudit } from './audit/audit-log.ts';
import { keySigner, type Signer, tpmSigner } from './audit/signers.ts';
import type { Audit, AuditEvent } from './audit/types.ts';
import { openTpm } from './open-tpm.ts';
import { openPolicies } from './policy/store.ts';
import type { PolicyStore } from './policy/types.ts';
import { readRoots } from './roots.ts';
import { openTrust } from './trust/trust.ts';
import type { Attesting } from './trust/types.ts';
import { judgeKeys } from './verifier/keys.ts';
import { verify } from './verifier/verify.ts';

/** What a gateway has open while it runs. */
export interface Attestation {
  readonly attesting: Attesting;
  readonly audit: Audit;
  readonly policies: PolicyStore;
  health(): Readonly<Record<'trust' | 'policy' | 'audit', PartHealth>>;
  /** Nothing may be asked of `attesting` after it; `audit` takes what is left until it is closed itself. */
  close(): Promise<void>;
}

/**
 * Opens all of it. Roots and reference sets that cannot be used are told in log and health: without them fewer surfaces are
 * trusted, never others.
 * @param options.caPin pin of the gateway's CA
 * @param options.onRecord told of each audit record, and whether it was written; null: nobody is
 * @throws SurfacedError E_STATE_DIR, E_AUDIT_BROKEN, E_AUDIT_WRITE, E_POLICY_SET, E_CFG_READ, E_CFG_INVALID
 */
export async function openAttestation(options: {
  readonly config: GatewayConfig;
  readonly registry: Registry;
  readonly caPin: string;
  readonly onRecord: ((event: AuditEvent, isWritten: boolean) => void) | null;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Attestation> {
  const { config, registry, caPin, onRecord, clock, log } = options;
  const { policy, stateDir } = config;
  /** What has been opened, the last first. */
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closeOne of opened.splice(0))
      await closeOne().catch((error: unknown) => log.warn({ err: error }, 'part did not close'));
  };
  try {
    const roots = await readRoots(policy.roots ?? null);
    for (const { source, message } of roots.problems) log.warn({ source, problem: message }, 'root problem');
    const policies = await openPolicies({
      folder: policy.references ?? null,
      signers: policy.signers,
      acceptUnsigned: policy.acceptUnsigned,
      clock,
      log: log.child({ part: 'policy' }),
    });
    opened.unshift(() => policies.close());

    const { signer, closeSigner } = await openSigner(config);
    opened.unshift(closeSigner);
    const auditLog = await openAudit({
      folder: path.join(stateDir, 'audit'),
      segmentBytes: config.audit.segmentBytes,
      signer,
      clock,
      log: log.child({ part: 'audit' }),
    });
    const audit = onRecord === null ? auditLog : toldAudit(auditLog, onRecord);
    opened.unshift(() => audit.close());
    await audit.append({ kind: 'gateway', what: 'started', version });
    opened.unshift(() => audit.append({ kind: 'gateway', what: 'stopped', version }));

    const attesting = await openTrust({
      config,
      registry,
      policies,
      audit,
      verifier: { judgeKeys, verify },
      roots: roots.certificates,
      caPin,
      clock,
      random: randomBytes,
      log: log.child({ part: 'trust' }),
    });
    opened.unshift(() => attesting.close());
    return {
      attesting,
      audit,
      policies,
      health: () => {
        const problems = [...roots.problems, ...policies.problems()];
        const [first] = problems;
        return {
          // A surface that is not trusted is its own trouble: it must not take the gateway out of service.
          trust: { ok: true, detail: trustDetail(attesting) },
          policy: {
            ok: first === undefined,
            detail: first
              ? `${first.source}: ${first.message}`
              : `${policies.list().length} reference sets, ${roots.certificates.length} roots`,
          },
          audit: auditLog.health(),
        };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The same log; somebody is told of what becomes of each record. */
function toldAudit(audit: Audit, onRecord: (event: AuditEvent, isWritten: boolean) => void): Audit {
  return {
    append: async (event) => {
      try {
        await audit.append(event);
      } catch (error) {
        onRecord(event, false);
        throw error;
      }
      onRecord(event, true);
    },
    close: () => audit.close(),
  };
}

/** The gateway's own TPM where it has one, else a key in the state folder. */
async function openSigner({
  audit,
  stateDir,
}: GatewayConfig): Promise<{ readonly signer: Signer; closeSigner(): Promise<void> }> {
  if (audit.tpm === undefined) {
    const signer = await keySigner(path.join(stateDir, 'audit-key.pem'));
    return { signer, closeSigner: async () => {} };
  }
  const tpm = openTpm(audit.tpm);
  return { signer: tpmSigner(tpm), closeSigner: () => tpm.close() };
}

function trustDetail(attesting: Attesting): string {
  const counts = new Map<string, number>();
  for (const { state } of attesting.list()) counts.set(state, (counts.get(state) ?? 0) + 1);
  const states = [...counts].map(([state, count]) => `${count} ${state}`);
  const waiting = attesting.quarantine().length;
  const all = [...states, ...(waiting > 0 ? [`${waiting} waiting for approval`] : [])];
  return all.length === 0 ? 'no surface with a TPM' : all.join(', ');
}
