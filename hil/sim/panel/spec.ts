/** The demo panel's face: four channels of an encoder above a fader, and the keys of the whole surface. */
import type { ControlSpec, PanelSpec } from '../../../daemon/surface/types.ts';

/** Channels from left to right. */
const channels = [1, 2, 3, 4];

/** The first two faders have motors, so that the panel shows both ways of taking a value over. */
const motorChannels = 2;

const fader = (channel: number): ControlSpec =>
  channel <= motorChannels
    ? { name: `fader${channel}`, kind: 'fader', hasMotor: true, hasTouch: true }
    : { name: `fader${channel}`, kind: 'fader' };

/** What the simulated panel consists of. */
export const simPanelSpec: PanelSpec = {
  model: 'surfaced demo panel (simulated)',
  controls: [
    ...channels.map(fader),
    ...channels.map(
      (channel): ControlSpec => ({
        name: `encoder${channel}`,
        kind: 'encoder',
        pulsesPerDetent: 1,
      }),
    ),
    ...channels.map((channel): ControlSpec => ({ name: `encoder${channel}-push`, kind: 'button' })),
    ...['arm', 'undo', 'bank-previous', 'bank-next', 'lock'].map(
      (name): ControlSpec => ({
        name,
        kind: 'button',
      }),
    ),
  ],
  matrix: { width: 8, height: 8 },
  roles: { arm: 'arm', undo: 'undo', bankNext: 'bank-next', bankPrevious: 'bank-previous', lock: 'lock' },
};
