/**
 * The clock of a TPM from one quote to the next (TPM 2.0 Part 1, section 36; Part 2, section 10.11.1).
 *
 * A TPM that lost its power begins a new epoch: resetCount is higher, the clock may have gone back to what was last
 * stored, and `safe` is 0 for a while. So does one that was shut down with its state first: then restartCount is higher
 * instead, and the PCRs may have begun anew all the same (TPM Restart). That is daily life of a surface and accepted, but
 * then nothing of earlier evidence counts any more: all logs must be whole and the attestation key activated again. Within
 * an epoch time goes forward, and so do the PCRs: that they only grow needs no rule of its own, as logs that go on from
 * the proven ones must replay to the new values.
 */
import type { Attest } from '../tpm2/index.ts';
import { failed, passed, type Ruling } from './checks.ts';
import type { ClockState, Verdict } from './verdict.ts';

/** The clock as it is kept. */
export const clockState = ({ clockInfo, firmwareVersion }: Attest): ClockState => ({
  resetCount: clockInfo.resetCount,
  restartCount: clockInfo.restartCount,
  clock: clockInfo.clock.toString(),
  isSafe: clockInfo.isSafe,
  firmwareVersion: firmwareVersion.toString(16).padStart(16, '0'),
});

/** Which epoch a quote is of; null when it is of an earlier one than the last evidence. */
export function epochOf(now: ClockState, previous: ClockState | null): Verdict['epoch'] {
  if (previous === null) return 'first';
  const later = now.resetCount - previous.resetCount || now.restartCount - previous.restartCount;
  if (later === 0) return 'same';
  return later > 0 ? 'new' : null;
}

/** Whether time went forward, and whether the evidence is complete where a new epoch demands it. */
export function clockRuling(
  now: ClockState,
  {
    previous,
    isIncremental,
    isActivated,
  }: {
    readonly previous: ClockState | null;
    /** Whether logs were put together from several messages. */
    readonly isIncremental: boolean;
    /** Whether the attestation key was activated for this very quote. */
    readonly isActivated: boolean;
  },
): Ruling<true> | Ruling<null> {
  const epoch = epochOf(now, previous);
  if (previous === null || epoch !== 'same') {
    if (epoch === null)
      return failed(
        `attest, resetCount and restartCount: ${starts(now)} after ${starts(previous)}; a TPM that was cleared must be approved again: \`surfaced surfaces revoke\`, then with --undo`,
      );
    const why = epoch === 'first' ? 'there is no earlier evidence' : 'the TPM was reset or restarted';
    if (isIncremental) return failed(`attest, resetCount: ${why}, so the logs must be sent from their start`);
    if (!isActivated) return failed(`attest, resetCount: ${why}, so a credential must have been opened`);
    const told = epoch === 'first' ? why : `${why} since the last evidence, and everything was sent`;
    return passed(`${told}${firmwareChange(now, previous)}`, true);
  }
  if (BigInt(now.clock) < BigInt(previous.clock))
    return failed(`attest, clock: ${now.clock} ms after ${previous.clock} ms, without a reset in between`);
  return passed(`later than the last evidence, without a reset${firmwareChange(now, previous)}`, true);
}

const starts = (state: ClockState | null): string => `${state?.resetCount} and ${state?.restartCount}`;

const firmwareChange = (now: ClockState, previous: ClockState | null): string =>
  previous === null || previous.firmwareVersion === now.firmwareVersion
    ? ''
    : `; the firmware of the TPM changed from ${previous.firmwareVersion} to ${now.firmwareVersion}`;
