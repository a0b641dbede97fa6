/** One binding as text displays and pages show it. */
import type { Arming } from './arming.ts';
import type { Channel } from './channel.ts';
import { palette } from './palette.ts';
import type { Millis, SlotCondition, Strip } from './types.ts';

const notSeenYet: SlotCondition = {
  state: 'unknown',
  reason: 'NotSeenYet',
  message: 'Nothing has been heard of this target yet.',
};

/** The strip of a binding at one instant. */
export function stripOf(channel: Channel, arming: Arming, missing: ReadonlySet<string>, at: Millis): Strip {
  const { binding, view, limits } = channel;
  const { request } = arming;
  return {
    slot: binding.slot,
    control: binding.control,
    name: binding.name,
    kind: view?.kind ?? '',
    hue: palette[binding.colour],
    min: limits.min,
    max: limits.max,
    desired: channel.desired.value,
    observed: view?.observed ?? 0,
    ready: view?.ready ?? 0,
    wanted: channel.wanted,
    hint: channel.hint,
    condition: view?.condition ?? notSeenYet,
    owner: view?.owner ?? null,
    isControlMissing: missing.has(binding.control),
    arming:
      request?.slot === binding.slot
        ? {
            want: request.want,
            guards: request.guards,
            remainingMs: arming.remainingMs(at),
            held: arming.held(at),
          }
        : null,
    notice: channel.notice?.shown ?? null,
  };
}
