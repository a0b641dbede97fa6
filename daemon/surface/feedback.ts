/** Motors, rings and lights of the controls. */
import { blink } from './animation.ts';
import type { Channel } from './channel.ts';
import { amber, dark, dimmed, palette, white } from './palette.ts';
import { partOf, travelOf } from './scale.ts';
import type { ControlFeedback, LinkState, Millis, PanelSpec, Rgb, Roles } from './types.ts';
import { numberOf } from './verbs.ts';

/** What the controls show. */
export interface FeedbackState {
  readonly link: LinkState;
  readonly isLocked: boolean;
  readonly isArming: boolean;
  readonly isArmHeld: boolean;
  readonly canUndo: boolean;
  readonly bankCount: number;
}

/** How bright the light of a switch is at 0, and that of a button that nothing is under way for. */
const offLevel = 0.25;

const none: ControlFeedback = { position: null, ring: null, light: dark, hint: null };

/** Feedback for every control of a panel. */
export function feedbackOf(
  panel: PanelSpec,
  channels: ReadonlyMap<string, Channel>,
  state: FeedbackState,
  at: Millis,
): ReadonlyMap<string, ControlFeedback> {
  const feedback = new Map<string, ControlFeedback>();
  for (const { name } of panel.controls) {
    const channel = channels.get(name);
    const role = roleLight(panel.roles, name, state, at);
    const bound = channel === undefined ? none : channelFeedback(channel, state);
    feedback.set(name, role === null ? bound : { ...bound, light: role });
  }
  return feedback;
}

function channelFeedback(channel: Channel, state: FeedbackState): ControlFeedback {
  const { limits, binding } = channel;
  const count = channel.wanted ?? channel.desired.value;
  if (state.link === 'offline') return none;
  const hue = palette[binding.colour];
  const isLive = state.link === 'online';
  if (count === null) return { ...none, light: dimmed(hue, 0.1) };
  const travel = travelOf(limits, count);
  const level = numberOf(binding) === 'count' || count > 0 ? 1 : offLevel;
  return {
    // A motor never moves on what may be out of date, nor against a hand.
    position: isLive && channel.isMotorFree ? (binding.isInverted ? 1 - travel : travel) : null,
    ring: partOf(limits, count),
    light: dimmed(hue, level * (isLive ? (state.isLocked ? 0.4 : 1) : 0.15)),
    hint: channel.hint,
  };
}

/** The light of a control that acts on the whole surface; null when it has no such role. */
function roleLight(roles: Roles, name: string, state: FeedbackState, at: Millis): Rgb | null {
  switch (name) {
    case roles.arm:
      return state.isArming && (state.isArmHeld || blink(at, 500)) ? white : dark;
    case roles.undo:
      return state.canUndo ? dimmed(white, 0.5) : dark;
    case roles.lock:
      return state.isLocked ? amber : dark;
    case roles.bankNext:
    case roles.bankPrevious:
      return state.bankCount > 1 ? dimmed(white, 0.3) : dark;
    default:
      return null;
  }
}
