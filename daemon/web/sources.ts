/**
 * What the pages know of the gateway, and what they may ask it to do: the one interface between the two. `gateway-pages.ts`
 * is the real one.
 */
import type { AuditReport } from '../attest/audit/report.ts';
import type { Quarantined, SurfaceTrust } from '../attest/trust/types.ts';
import type { Level } from '../attest/types.ts';
import type { Verdict } from '../attest/verifier/verdict.ts';
import type { CommandRecord } from '../bridge/gateway/command.ts';
import type { SurfaceView } from '../bridge/gateway/relay.ts';

/** Somebody who has logged in, as Kubernetes is asked about them. */
export interface PageUser {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** What can be allowed: see `rightWords` of rights.ts for what each is in Kubernetes. */
export type Right = 'look' | 'approve' | 'revoke';

/** One surface with everything there is to see of it. */
export interface KnownSurface {
  readonly name: string;
  readonly isRevoked: boolean;
  /** What the operator asserts about how it boots; null: it has no TPM. */
  readonly assertedLevel: number | null;
  readonly policy: string | null;
  /** Null: it has no TPM. */
  readonly trust: SurfaceTrust | null;
  /** Null: the gateway does not serve it. */
  readonly view: SurfaceView | null;
  /** The last command of each slot that has ended since the gateway started. */
  readonly lastCommands: ReadonlyMap<number, CommandRecord>;
}

/** What Kubernetes says of one right that a binding needs. */
export interface RightCheck {
  /** Such as `update deployments/scale`. */
  readonly what: string;
  readonly isAllowed: boolean;
  readonly reason: string;
}

/** Whether the surface may do what a binding is there for. */
export interface BindingRights {
  readonly control: string;
  readonly bank: number;
  readonly checks: readonly RightCheck[];
}

/** What somebody decides about a TPM that waits. */
export interface ApprovalDecision {
  readonly ekSha256: string;
  /** As they read it from the panel. */
  readonly code: string;
  readonly name: string;
  /** Null: as it is. */
  readonly level: Level | null;
  /** Null: as it is. */
  readonly policy: string | null;
  readonly isReplacing: boolean;
}

/** Which records of the audit log. */
export interface AuditQuery {
  readonly surface: string | null;
  readonly kind: string | null;
  /** Unix milliseconds. */
  readonly from: number | null;
  readonly to: number | null;
  /** In the line as it is written, any case. */
  readonly text: string | null;
  /** From an earlier page; null: from the end. */
  readonly before: string | null;
  readonly most: number;
}

/** One record for people. */
export interface AuditLine {
  readonly seq: number;
  readonly at: number;
  readonly kind: string;
  readonly surface: string | null;
  readonly words: string;
  readonly command: CommandRecord | null;
}

/** What a search found, newest first. */
export interface AuditPage {
  readonly lines: readonly AuditLine[];
  /** Where to go on; null: that was the beginning of the log. */
  readonly next: string | null;
  /** True: it stopped because it had read enough at a time, not because the page is full. */
  readonly isCutShort: boolean;
  readonly bytesRead: number;
  /** Lines that are no records. */
  readonly unreadable: number;
}

/** A verification of the audit log; one runs at a time, and everybody sees it. */
export interface Verification {
  readonly startedAt: number;
  readonly startedBy: string;
  readonly bytesDone: number;
  readonly bytesInAll: number;
  /** Null while it runs. */
  readonly outcome:
    | { readonly at: number; readonly report: AuditReport }
    | { readonly problem: string }
    | null;
}

/** The gateway as the pages see it. Whatever can be refused throws SurfacedError with words for whoever asked. */
export interface PageSources {
  readonly site: string;
  readonly gateway: string;
  readonly isInCluster: boolean;
  /** Namespace in which rights are asked for. */
  readonly namespace: string;
  /** All surfaces, sorted. */
  names(): readonly string[];
  surface(name: string): KnownSurface | null;
  /** Everything that an operator should see to, one sentence each. */
  problems(): readonly string[];
  waiting(): readonly Quarantined[];
  /** Names of reference sets that there are. */
  policies(): readonly string[];
  /** Null: none is known. */
  verdictOf(name: string): Promise<Verdict | null>;
  levelSentence(level: Level): string;
  bindingRights(name: string): Promise<readonly BindingRights[]>;
  /** @returns what came of it, in words */
  approve(decision: ApprovalDecision, by: PageUser): Promise<string>;
  deny(ekSha256: string, by: PageUser): Promise<string>;
  setRevoked(name: string, isRevoked: boolean, by: PageUser): Promise<string>;
  searchAudit(query: AuditQuery): Promise<AuditPage>;
  readonly auditKinds: readonly string[];
  /** The last one, or the one that runs; null: none since the gateway started. */
  verification(): Verification | null;
  /** Starts one unless one runs. */
  verify(by: PageUser): void;
}

/** What decides who may see the pages. */
export interface PageAccess {
  /** Whose token this is; null: nobody's. @throws SurfacedError E_PAGES_ASK when the API server cannot be asked */
  reviewToken(token: string): Promise<PageUser | null>;
  /**
   * Asks anew each time.
   * @param surface that it is about; empty: all
   * @throws SurfacedError E_PAGES_ASK; an error is never "allowed"
   */
  isAllowed(user: PageUser, right: Right, surface: string): Promise<boolean>;
}
