/**
 * The checks that a command passes before anything is asked of the API server (DESIGN.md rules 3 to 7). Pure:
 * each rule looks at the facts and returns the end of the command, or null to let it pass.
 */
import type { BindingConfig, ControlSurface } from '../../config/schema.ts';
import { rangeOf, verbShapes } from '../../config/verbs.ts';
import {
  type CommandMessage,
  commandMessage,
  type Decoded,
  decode,
  maxMessageBytes,
} from '../wire/messages.ts';
import { type End, endOf } from './command.ts';

/** A surface's clock follows the gateway's beats; further ahead than this it does not. */
export const allowedAheadMs = 2000;

export interface AdmitFacts {
  readonly message: CommandMessage;
  readonly isRetained: boolean;
  /** What the registry says of the sender; null when it does not know it. */
  readonly surface: ControlSurface | null;
  readonly binding: BindingConfig | null;
  /** When the slot last came to mean another target, Unix milliseconds. */
  readonly slotSince: number;
  /** Unix milliseconds. */
  readonly now: number;
  /** When this gateway started, or from when on it acts for this surface, Unix milliseconds; 0 when that is long ago. */
  readonly startedAt: number;
  /** Whether the surface is within its rate. */
  readonly isWithinRate: boolean;
}

export type Rule = (facts: AdmitFacts) => End | null;

/** A command that was kept is from the past, whatever its time says. */
export const refuseRetained: Rule = ({ isRetained }) =>
  isRetained ? endOf('denied', 'Retained', 'The message was retained; commands must not be.') : null;

/** Only surfaces in the registry that are not revoked may act. */
export const refuseStranger: Rule = ({ surface }) => {
  if (!surface) return endOf('denied', 'UnknownSurface', 'The gateway does not know this surface.');
  if (surface.spec.isRevoked) return endOf('denied', 'Revoked', 'This surface has been revoked.');
  return null;
};

/** A command names a slot; only what the operator has bound can be reached. */
export const refuseUnbound: Rule = ({ binding, message, slotSince }) => {
  if (!binding)
    return endOf(
      'denied',
      'UnknownSlot',
      `Nothing is bound to slot ${message.slot}; the bindings may have changed.`,
    );
  if (message.issuedAt < slotSince)
    return endOf(
      'stale',
      'BindingChanged',
      `Slot ${message.slot} was bound to something else when this was asked.`,
    );
  return null;
};

/** Late is late, ahead is a wrong clock, and what an earlier process may have done is not done again. */
export const refuseUntimely: Rule = ({ message, now, startedAt }) => {
  if (message.issuedAt > now + allowedAheadMs)
    return endOf(
      'denied',
      'ClockSkew',
      `The surface's clock is ${((message.issuedAt - now) / 1000).toFixed(1)} s ahead of the gateway's.`,
    );
  if (now > message.issuedAt + message.ttlMs)
    return endOf(
      'expired',
      'Late',
      `It arrived ${((now - message.issuedAt) / 1000).toFixed(1)} s after it was asked for, ${(message.ttlMs / 1000).toFixed(1)} s are allowed.`,
    );
  if (message.issuedAt < startedAt)
    return endOf('expired', 'BeforeStart', 'It was asked for before this gateway served this surface.');
  return null;
};

/** Zero has its own switch, because it is the one number that takes a service away. */
export const refuseOutOfRange: Rule = ({ binding, message: { want } }) => {
  if (!binding) return null;
  const { min, max } = rangeOf(binding);
  if (want === 0 && verbShapes[binding.verb].number === 'count' && binding.zero === 'never')
    return endOf('denied', 'ZeroNotAllowed', 'The binding does not allow zero replicas (zero: never).');
  if (want < min || want > max) return endOf('denied', 'OutOfRange', `${want} is outside ${min} to ${max}.`);
  return null;
};

/** One surface must not keep the API server busy. */
export const refuseFlood: Rule = ({ isWithinRate }) =>
  isWithinRate
    ? null
    : endOf('denied', 'RateLimited', 'Too many commands; the surface sends faster than it may.');

const rules: readonly Rule[] = [
  refuseRetained,
  refuseStranger,
  refuseUnbound,
  refuseUntimely,
  refuseOutOfRange,
  refuseFlood,
];

/** The first rule that the command fails, or null. */
export function refusal(facts: AdmitFacts): End | null {
  for (const rule of rules) {
    const end = rule(facts);
    if (end) return end;
  }
  return null;
}

/** Reads a command; of a bad one the id is kept where it can be read, so that it can be answered. */
export function readCommand(payload: Uint8Array): Decoded<CommandMessage> & { readonly id: string | null } {
  const decoded = decode(commandMessage, payload);
  if (decoded.ok) return { ...decoded, id: decoded.message.id };
  return { ...decoded, id: idOf(payload) };
}

function idOf(payload: Uint8Array): string | null {
  if (payload.length > maxMessageBytes) return null;
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    if (typeof value !== 'object' || value === null || !('id' in value)) return null;
    const parsed = commandMessage.shape.id.safeParse(value.id);
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
