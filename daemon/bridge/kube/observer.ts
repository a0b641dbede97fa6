/** What can be watched of the Kubernetes client, for metrics and traces. */

/** One thing that the client did. */
export type KubeEvent =
  | {
      readonly type: 'api-request';
      readonly method: string;
      /** Path with its query. */
      readonly path: string;
      /** HTTP status; 0: there was no answer. */
      readonly status: number;
      /** Unix milliseconds. */
      readonly startedAt: number;
      /** Until the head of the answer, milliseconds. */
      readonly tookMs: number;
    }
  /** A collection was listed, a watch of it was answered, or either ended with an error. */
  | { readonly type: 'api-watch'; readonly what: 'listed' | 'opened' | 'interrupted' };

/** How the watches are, all together. */
export interface WatchStatus {
  /** Collections that are mirrored now. */
  readonly count: number;
  /** Milliseconds since that one was heard of that was silent for longest; 0 without any. */
  readonly oldestHeardMs: number;
}
