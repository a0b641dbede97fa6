/**
 * Every error that a user can meet has a code, a class and a remedy. `docs/errors.md` is generated from
 * this table; a structure test fails when a code is undocumented or never raised.
 */

/** What the process or the caller should do about it. */
export type ErrorClass =
  /** The command line or a config is wrong: exit 2, never retried. */
  | 'usage'
  /** May pass by itself: retried with back-off and shown meanwhile. */
  | 'retry'
  /** Refused by the other side for a reason that retrying will not change. */
  | 'refused'
  /** A defect or an impossible state: exit 1. */
  | 'fatal';

interface ErrorEntry {
  readonly class: ErrorClass;
  /** What happened, one sentence without a full stop. */
  readonly title: string;
  /** What to do about it, one imperative sentence. */
  readonly remedy: string;
}

export const errorTable = {
  // config and command line
  E_CFG_INVALID: {
    class: 'usage',
    title: 'A configuration file does not match its schema',
    remedy: 'Correct the fields named in the message; `schemas/` has the JSON Schemas for your editor.',
  },
  E_CFG_READ: {
    class: 'usage',
    title: 'A configuration file cannot be read',
    remedy: 'Check the path and its permissions.',
  },
  E_USAGE: {
    class: 'usage',
    title: 'The command line is wrong',
    remedy: 'See `surfaced --help`.',
  },
  // hw
  // attest
  // bridge: wire, link, broker
  // bridge: kube, gateway
  // roles, web, demo, sim
  E_LISTEN: {
    class: 'usage',
    title: 'An address to listen on cannot be had',
    remedy: 'Choose another port or end the program that has it.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorTable;

/** An error with a code of {@link errorTable}; `message` says what happened this time, `cause` why. */
export class SurfacedError extends Error {
  override readonly name = 'SurfacedError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get class(): ErrorClass {
    return errorTable[this.code].class;
  }

  get remedy(): string {
    return errorTable[this.code].remedy;
  }
}
