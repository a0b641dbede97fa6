/** Which of several gateways acts for which surface: what the parts of this folder say to each other. */

import type { Sent } from './grip.ts';

/** Who acts for which surface, as one gateway sees it now. */
export interface Shards {
  /** Whether this gateway may act for the surface now; to be asked again right before every write. */
  isMine(surface: string): boolean;
  /** Monotonic milliseconds of the clock that was given; nothing may be started for the surface from then on. 0: not now either. */
  mayActUntil(surface: string): number;
  /**
   * When this gateway began to act for the surface, by both clocks; null: it does not. Another time means that somebody else
   * may have acted since, even when nothing was heard of it.
   */
  heldSince(surface: string): Sent | null;
  /**
   * Hears that some surface may have changed hands: a hint to ask again. Before a shard is handed over on purpose what
   * listeners return is waited for, so that what is under way can come to its end; by then `isMine` is false already.
   */
  onChange(listener: () => void | Promise<void>): void;
  /** Shards held now, and what an operator should see to, one sentence each. */
  status(): {
    readonly held: readonly number[];
    readonly replicas: number;
    readonly problems: readonly string[];
  };
  /** Stops acting, then gives all shards back. */
  close(): Promise<void>;
}

/** A Lease as far as it is used (coordination.k8s.io/v1). */
export interface LeaseRecord {
  readonly name: string;
  /** Empty: given back. */
  readonly holder: string;
  readonly resourceVersion: string;
  /** What its holder promises to stop within, milliseconds. */
  readonly durationMs: number;
  readonly transitions: number;
  /** Of the present holder, as it was written. */
  readonly acquireTime: string;
  /** Into how many shards its writer divides the surfaces; 0: it does not say. */
  readonly count: number;
}

/** What is written into a Lease. */
export type LeaseDraft = Omit<LeaseRecord, 'resourceVersion'> & { readonly renewTime: string };

/** The Leases of one set of gateways. Every call has a deadline of its own. */
export interface LeaseApi {
  /** All of them, as they are now: never from a cache. @throws KubeError */
  list(signal: AbortSignal): Promise<readonly LeaseRecord[]>;
  /** @throws KubeError 409 when it is there */
  create(draft: LeaseDraft, signal: AbortSignal): Promise<LeaseRecord>;
  /** Only if nobody has written since. @throws KubeError 409, 404 */
  update(draft: LeaseDraft, resourceVersion: string, signal: AbortSignal): Promise<LeaseRecord>;
  /** Only if nobody has written since. @throws KubeError 409, 404 */
  remove(name: string, resourceVersion: string, signal: AbortSignal): Promise<void>;
}
