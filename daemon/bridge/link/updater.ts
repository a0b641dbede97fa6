/**
 * The surface's part in an update: takes the gateway's wish, hands it to the machine, tells how it goes, and lets the
 * machine restart when nobody uses the panel. It installs nothing itself: this process has no right to.
 */
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { compareVersions, versionPattern } from '../../version.ts';
import type { Timers } from '../gateway/timers.ts';
import type { UpdateReport } from '../wire/messages.ts';

/** What the gateway wishes. */
export interface WantedUpdate {
  readonly version: string;
  /** SHA-256 of the manifest in the bundle, hex. */
  readonly manifestSha256: string;
  /** The gateway's CA: whoever fetches the bundle trusts no other. */
  readonly caPem: string;
}

/** As {@link UpdateReport}, with `installed` where only the restart is missing. */
export interface MachineState {
  readonly state: 'unsupported' | 'idle' | 'installing' | 'installed' | 'trial' | 'failed';
  readonly version: string | null;
  /** For people, one sentence. */
  readonly detail: string;
}

/** What carries updates out. */
export interface UpdateMachine {
  readonly state: MachineState;
  /** One listener, called after every change of the state. */
  onChange(listener: () => void): void;
  /** Asks for an installation; its course is in the state. Rejects when it cannot even be asked for. */
  install(wanted: WantedUpdate): Promise<void>;
  /** Asks for a restart into what was installed. */
  restart(): Promise<void>;
}

/** How often is looked whether nobody uses the panel, milliseconds. */
const lookMs = 1000;
/** The restart waits no longer than this, milliseconds: a fader that is never at rest must not keep a fleet back. */
export const longestWaitMs = 10 * 60_000;
/** As much of a text as fits into a report. */
const mostCharacters = 256;

export interface UpdaterParts {
  readonly machine: UpdateMachine;
  /** Version that runs. */
  readonly version: string;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly timers: Timers;
  readonly log: Log;
  /** Whether a restart would take nothing out of anybody's hand now. */
  readonly isAtRest: () => boolean;
  /** Told to the gateway whenever there is one. */
  readonly report: (report: UpdateReport) => void;
}

export class Updater {
  readonly #parts: UpdaterParts;
  /** A refusal, or a wish that the machine could not be told; stands until the machine has news. */
  #own: UpdateReport | null = null;
  #waitingSince: number | null = null;
  #isRestarting = false;
  #cancel: () => void = () => {};

  constructor(parts: UpdaterParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#parts.machine.onChange(() => this.#changed());
    this.#changed();
  }

  stop(): void {
    this.#cancel();
    this.#cancel = () => {};
    this.#waitingSince = null;
  }

  /** The gateway wants a version; what it already is, does or may not do is only told. Never rejects. */
  async want(wanted: WantedUpdate): Promise<void> {
    const { machine, log } = this.#parts;
    const { version } = wanted;
    const obstacle = this.#obstacle(version);
    if (obstacle !== null) {
      log.warn({ version, reason: obstacle }, 'the gateway wants an update that is refused');
      this.#refuse(version, obstacle);
      return;
    }
    const isFree = machine.state.state === 'idle' || machine.state.state === 'failed';
    if (!isFree || this.#own?.state === 'installing' || version === this.#parts.version) {
      this.#tell();
      return;
    }
    log.info({ version }, 'the gateway wants an update');
    this.#own = { state: 'installing', version, detail: 'asked for' };
    this.#tell();
    try {
      await machine.install(wanted);
    } catch (error) {
      log.error({ err: error, version }, 'the update could not be asked for');
      this.#refuse(version, reasonOf(error));
    }
  }

  /** Null: it may be asked for. Versions only go up: an old one may have holes that the new one was made to close. */
  #obstacle(version: string): string | null {
    const own = this.#parts.version;
    if (!versionPattern.test(own)) return `what runs here calls itself ${own}, which is no version`;
    return compareVersions(version, own) < 0 ? `older than ${own}, which runs here` : null;
  }

  #refuse(version: string, detail: string): void {
    this.#own = { state: 'failed', version, detail: detail.slice(0, mostCharacters) };
    this.#tell();
  }

  #changed(): void {
    this.#own = null;
    if (this.#parts.machine.state.state !== 'installed') this.stop();
    else if (this.#waitingSince === null && !this.#isRestarting) this.#await();
    this.#tell();
  }

  #tell(): void {
    this.#parts.report(this.#own ?? reportOf(this.#parts.machine.state, this.#isRestarting));
  }

  #await(): void {
    const { now, timers, isAtRest, machine, log } = this.#parts;
    this.#waitingSince ??= now();
    if (isAtRest() || now() - this.#waitingSince >= longestWaitMs) {
      this.#waitingSince = null;
      this.#isRestarting = true;
      const { version } = machine.state;
      log.info({ version }, 'restarting into the update');
      this.#tell();
      machine.restart().catch((error: unknown) => {
        log.error({ err: error }, 'the restart could not be asked for');
        this.#isRestarting = false;
        this.#refuse(version ?? this.#parts.version, reasonOf(error));
      });
      return;
    }
    this.#cancel = timers.after(lookMs, () => this.#await());
  }
}

function reportOf({ state, version, detail }: MachineState, isRestarting: boolean): UpdateReport {
  const text = detail.slice(0, mostCharacters);
  if (state !== 'installed') return { state, version, detail: text };
  return {
    state: 'restarting',
    version,
    detail: isRestarting ? 'restarts' : 'waits until nobody uses it',
  };
}

const reasonOf = (error: unknown): string =>
  error instanceof SurfacedError ? `${error.code}: ${error.message}` : String(error);
