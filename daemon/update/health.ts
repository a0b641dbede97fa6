/**
 * Judges an update on trial by what this machine can tell by itself, never by the network: a cable that is out must not roll
 * a good update back.
 */
import type { Host } from './host.ts';
import {
  type DeviceUnit,
  findProblems,
  isConfigured,
  type Problems,
  problemsBefore,
  readDeviceUnit,
} from './self-tests.ts';
import { markRunning, publish, readStanding, restart, stateOf, writeFailure } from './standing.ts';

/** The daemon must run for so long at a stretch, fed watchdog and all, milliseconds. */
export const steadyMs = 60_000;
/** After so long an update that is not healthy is given up, milliseconds. */
export const limitMs = 300_000;
const lookMs = 2_000;

/**
 * Waits until the update that runs is healthy and makes it the one that stays; or gives it up and starts the system anew.
 * @returns why it was given up, null: it stays, or there was none on trial
 * @throws SurfacedError E_UPDATE_SYSTEM
 */
export async function judgeTrial(host: Host, signal: AbortSignal): Promise<string | null> {
  const { running, pending } = await readStanding(host, signal);
  if (pending !== 'trial') return null;
  const reason = await whyNotHealthy(host, signal);
  if (reason === null) {
    await markRunning(host, running, 'good', signal);
    await publish(host, stateOf(await readStanding(host, signal)));
    return null;
  }
  // Somebody has said meanwhile that it stays (`surfaced update confirm`).
  if ((await readStanding(host, signal)).pending !== 'trial') return null;
  try {
    await writeFailure(host, running, reason);
  } finally {
    // Also with a data partition that cannot be written: it may be what is wrong.
    await markRunning(host, running, 'bad', signal);
    await restart(host, signal);
  }
  return reason;
}

/** Null: it is healthy. */
async function whyNotHealthy(host: Host, signal: AbortSignal): Promise<string | null> {
  const before = await problemsBefore(host);
  const isAwaited = (await isConfigured(host)) && !before.has('device');
  const startedAt = host.monotonic();
  let since = startedAt;
  let invocation = '';
  while (true) {
    const unit = isAwaited ? await readDeviceUnit(host, signal) : null;
    const now = host.monotonic();
    if (unit !== null && (!unit.isActive || unit.invocation !== invocation)) since = now;
    invocation = unit?.invocation ?? '';
    const isSteady = now - since >= steadyMs;
    const isLate = now - startedAt >= limitMs;
    if (isSteady || isLate) {
      const reason = reasonOf(await findProblems(host, signal), before, isSteady ? null : unit);
      if (reason === null || isLate) return reason;
    }
    await host.sleep(lookMs, signal);
  }
}

/** What is worse than before; `unsteady`: the daemon that has not run for long enough. */
function reasonOf(
  problems: Problems,
  before: ReadonlySet<string>,
  unsteady: DeviceUnit | null,
): string | null {
  const worse = [...problems].filter(([name]) => !before.has(name)).map(([name, what]) => `${name}: ${what}`);
  if (unsteady?.isActive)
    worse.unshift(`device: the daemon did not run for ${steadyMs / 1000} s without a restart`);
  return worse.length === 0 ? null : worse.join('; ');
}
