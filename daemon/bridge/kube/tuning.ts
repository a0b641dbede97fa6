/** Durations and limits of the Kubernetes client; tests shorten them. */
export interface Tuning {
  /** One API call, retries included. */
  readonly requestMs: number;
  /** Connecting, TLS included. */
  readonly connectMs: number;
  /** Attempts of an idempotent read. */
  readonly readAttempts: number;
  readonly readBackoffMs: number;
  /** How long credentials are used before files and plug-ins are asked again. */
  readonly credentialMs: number;
  /** Least time between two readings of the kubeconfig after a refusal. */
  readonly reloadMs: number;
  /** An idle connection is kept this long; the API server closes after 90 s. */
  readonly keepAliveMs: number;
  readonly probeMs: number;
  readonly probeDeadlineMs: number;
  /** A failed probe is repeated after this before the API server counts as away. */
  readonly probeConfirmMs: number;
  readonly probeBackoffMaxMs: number;
  /** A kind that discovery did not list is looked for again after this. */
  readonly discoveryMissMs: number;
  readonly pageItems: number;
  readonly parallelLists: number;
  /** `timeoutSeconds` of a watch is drawn from this range. */
  readonly watchSeconds: readonly [least: number, most: number];
  /** A watch that the server did not end by then is taken for dead. */
  readonly watchGraceMs: number;
  /** Least time between the starts of two watches of one reflector. */
  readonly watchGapMs: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** Pause after 403 and 404, which only an operator can change. */
  readonly refusedMs: number;
  /** The same for what is only watched if it is there: autoscalers. */
  readonly optionalMs: number;
  /** After an outage the watches resume spread over this time. */
  readonly resumeSpreadMs: number;
  readonly maxLineBytes: number;
  readonly maxListBytes: number;
  readonly maxBodyBytes: number;
}

/** The values used outside tests. */
export const defaultTuning: Tuning = {
  requestMs: 10_000,
  connectMs: 5000,
  readAttempts: 3,
  readBackoffMs: 150,
  credentialMs: 5000,
  reloadMs: 10_000,
  keepAliveMs: 45_000,
  probeMs: 2500,
  probeDeadlineMs: 3000,
  probeConfirmMs: 500,
  probeBackoffMaxMs: 2000,
  discoveryMissMs: 30_000,
  pageItems: 500,
  parallelLists: 4,
  watchSeconds: [240, 300],
  watchGraceMs: 15_000,
  watchGapMs: 1000,
  backoffMs: 500,
  backoffMaxMs: 30_000,
  refusedMs: 30_000,
  optionalMs: 300_000,
  resumeSpreadMs: 1000,
  maxLineBytes: 4 << 20,
  maxListBytes: 128 << 20,
  maxBodyBytes: 8 << 20,
};
