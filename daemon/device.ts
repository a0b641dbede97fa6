/**
 * The Pi's daemon: panel, surface and link wired together. The loop is act (intents go out), observe (slots
 * come in), diff (the frame shows where the two differ).
 */
import { once } from 'node:events';
import type { CredentialSource } from './attest/types.ts';
import { systemTimers as timers } from './bridge/gateway/timers.ts';
import { createLink, type Link, type LinkStatus } from './bridge/link/link.ts';
import { Rest } from './bridge/link/rest.ts';
import { type UpdateMachine, Updater } from './bridge/link/updater.ts';
import type { Clock } from './clock.ts';
import { type HealthReport, healthOf } from './health.ts';
import { FramePace } from './hw/frame-pace.ts';
import { systemTimers } from './hw/panel.ts';
import type { Log } from './log.ts';
import { Surface, type SurfaceOptions } from './surface/surface.ts';
import type { Panel, SurfaceInput } from './surface/types.ts';

export interface DeviceParts {
  readonly panel: Panel;
  readonly credentials: CredentialSource;
  readonly surface: SurfaceOptions;
  /** Version that the birth message tells. */
  readonly firmware: string;
  /** What carries updates out; null: the gateway is told nothing of updates. */
  readonly updates: UpdateMachine | null;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Calls the start off: the device is then given at once, to be stopped. */
  readonly signal: AbortSignal;
}

/** What a device has counted since its start, for metrics. */
export interface DeviceCounts {
  readonly frames: number;
  readonly link: LinkStatus;
}

/** A running device. */
export interface Device {
  health(): HealthReport;
  counts(): DeviceCounts;
  /** Resolves once a frame has been drawn that was asked for now: the whole loop has gone round. */
  pulse(): Promise<void>;
  /** Leaves the panel dark and tells the gateway; may be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts the device; it runs until `stop`. A panel or gateway that is away is retried for ever and shown. When it cannot be
 * started, it rejects with the panel dark.
 */
export async function startDevice(parts: DeviceParts): Promise<Device> {
  const { panel, clock, log } = parts;
  const surface = new Surface(panel.spec, parts.surface);
  const ending = new AbortController();
  const link: Link = createLink({
    credentials: parts.credentials,
    birth: {
      model: panel.spec.model,
      firmware: parts.firmware,
      controls: panel.spec.controls,
    },
    clock,
    log: log.child({ part: 'link' }),
    random: parts.random,
  });

  const rest = new Rest();
  const updater =
    parts.updates &&
    new Updater({
      machine: parts.updates,
      version: parts.firmware,
      now: () => clock.monotonic(),
      timers,
      log: log.child({ part: 'update' }),
      isAtRest: () => rest.isQuiet(clock.monotonic()) && link.status().commandsUnderWay === 0,
      report: (report) => link.report(report),
    });
  let wake: NodeJS.Timeout | null = null;
  let pairingCode: string | null = null;
  let endPairing = (): void => {};
  /** Who waits for the next frame. */
  const watchers: (() => void)[] = [];
  let framesDrawn = 0;
  const frames = new FramePace({
    draw: (at) => {
      panel.show(surface.frame(at));
      framesDrawn += 1;
      for (const resolve of watchers.splice(0)) resolve();
      return surface.nextFrameAt();
    },
    timers: { ...systemTimers, monotonic: () => clock.monotonic() },
  });

  const scheduleWake = (): void => {
    if (wake !== null) clearTimeout(wake);
    wake = null;
    const at = surface.nextWakeAt();
    if (at === null || ending.signal.aborted) return;
    wake = setTimeout(() => advance(null), Math.max(0, Math.ceil(at - clock.monotonic())));
  };
  const advance = (input: SurfaceInput | null): void => {
    if (ending.signal.aborted) return;
    const at = clock.monotonic();
    if (input !== null) rest.take(input, at);
    const intents = input === null ? surface.tick(at) : surface.apply(input, at);
    for (const intent of intents) link.send(intent);
    scheduleWake();
    frames.ask(at);
  };

  let stopped: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    ending.abort();
    if (wake !== null) clearTimeout(wake);
    frames.stop();
    endPairing();
    updater?.stop();
    parts.credentials.stop();
    await Promise.allSettled([link.stop(), panel.stop()]);
    log.info('device stopped');
  };
  const stop = (): Promise<void> => {
    stopped ??= end();
    return stopped;
  };

  try {
    if (!parts.signal.aborted) {
      link.onInput(advance);
      frames.ask(clock.monotonic());
      // A panel takes seconds to open when its bus hangs, and may be lit before.
      await Promise.race([panel.start(ending.signal, advance), once(parts.signal, 'abort')]);
    }
    if (!parts.signal.aborted) {
      endPairing = parts.credentials.onPairing((code) => {
        pairingCode = code;
        advance({ type: 'pairing', code });
      });
      link.onUpdate((wanted) => void updater?.want(wanted));
      updater?.start();
      link.start(ending.signal);
      log.info({ model: panel.spec.model }, 'device started');
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    health: () =>
      healthOf({
        panel: { ok: panel.state.isOpen, detail: panel.state.problem ?? panel.spec.model },
        link:
          pairingCode === null || link.state !== 'offline'
            ? link.health()
            : { ok: false, detail: `waits to be let in with the code ${pairingCode}` },
      }),
    counts: () => ({ frames: framesDrawn, link: link.status() }),
    pulse: () =>
      new Promise((resolve) => {
        watchers.push(resolve);
        advance(null);
      }),
    stop,
  };
}
