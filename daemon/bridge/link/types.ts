/** What a link takes and gives. */
import type { CredentialSource, Level } from '../../attest/types.ts';
import type { Clock } from '../../clock.ts';
import type { PartHealth } from '../../health.ts';
import type { Log } from '../../log.ts';
import type { ControlSpec, Intent, LinkState, SurfaceInput } from '../../surface/types.ts';
import type { UpdateReport } from '../wire/messages.ts';
import type { LinkTiming } from './timing.ts';
import type { WantedUpdate } from './updater.ts';

export interface LinkOptions {
  readonly credentials: CredentialSource;
  /** What the birth message says of this surface. */
  readonly birth: {
    readonly model: string;
    readonly firmware: string;
    readonly controls: readonly Pick<ControlSpec, 'name' | 'kind' | 'hasMotor'>[];
  };
  readonly clock: Clock;
  readonly log: Log;
  /** 0 up to 1, for jitter. */
  readonly random: () => number;
  readonly timing?: Partial<LinkTiming>;
}

/** What the link does now, for health and status pages. */
export interface LinkStatus {
  readonly state: LinkState;
  readonly detail: string;
  readonly isAttested: boolean;
  /** What the gateway has found to hold of this surface's software; null when it is not attested. */
  readonly level: Level | null;
  readonly session: string | null;
  readonly gatewaySession: string | null;
  /** Attempts in a row that brought nothing lasting. */
  readonly attempts: number;
  readonly commandsUnderWay: number;
  readonly counters: Readonly<Record<string, number>>;
}

export interface Link {
  /** Connects and stays connected until the signal fires or `stop`. */
  start(signal: AbortSignal): void;
  /** One listener; it may call `send`. */
  onInput(listener: (input: SurfaceInput) => void): void;
  /** Sends now, or answers `expired`; every intent gets exactly one end. */
  send(intent: Intent): void;
  /** One listener, for what the gateway wants this surface to run. */
  onUpdate(listener: (wanted: WantedUpdate) => void): void;
  /** How this surface stands to updates: told now if there is a connection, and after each birth. */
  report(update: UpdateReport): void;
  readonly state: LinkState;
  status(): LinkStatus;
  health(): PartHealth;
  /** Says good-bye to the gateway and ends; may be called twice. */
  stop(): Promise<void>;
}
