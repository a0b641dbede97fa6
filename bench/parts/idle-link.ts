/** A part: a surface and its link, with a panel that nobody touches. */
import type { CredentialSource, Credentials } from '../../daemon/attest/types.ts';
import { systemClock } from '../../daemon/clock.ts';
import { startDevice } from '../../daemon/device.ts';
import { silentLog } from '../../daemon/log.ts';
import type { Panel } from '../../daemon/surface/types.ts';
import { serve } from '../processes.ts';

const panel: Panel = {
  spec: {
    model: 'bench',
    controls: [{ name: 'fader1', kind: 'fader' }],
    matrix: { width: 8, height: 8 },
    roles: {},
  },
  state: { isOpen: true, problem: null },
  start: async () => {},
  show: () => {},
  stop: async () => {},
};

let isOnline = (): boolean => false;

serve({
  start: async (credentials: Credentials) => {
    const source: CredentialSource = {
      current: async () => credentials,
      onRenewed: () => () => {},
      onPairing: () => () => {},
      renew: () => {},
      stop: () => {},
    };
    const device = await startDevice({
      panel,
      credentials: source,
      surface: { settleMs: 150, longestMoveMs: 500, isLockedAtStart: false, lockAfterIdleMs: 0 },
      firmware: 'bench',
      updates: null,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      signal: new AbortController().signal,
    });
    isOnline = () => device.health().parts.link?.ok === true;
  },
  isOnline: () => isOnline(),
});
