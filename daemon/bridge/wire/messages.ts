/**
 * The messages on the topics: one schema each, from which types and validators come. JSON, at most 4 KiB,
 * `v` first; an unknown version or field is refused with words, never guessed at.
 */
import { z } from 'zod';
import { versionPattern } from '../../version.ts';
import { maxSlots, segmentPattern, wireVersion } from './topics.ts';
import { maxTraceparentLength } from './traceparent.ts';

/** Largest payload that either end accepts, bytes. */
export const maxMessageBytes = 4096;

/** Time to live of a command unless the surface says otherwise, milliseconds. */
export const defaultTtlMs = 5000;
/** Longest time to live that a gateway accepts, milliseconds. */
export const maxTtlMs = 30_000;
/** Gateways repeat their status this often; a surface that misses three is stale. */
export const beatIntervalMs = 5000;

const v = z.literal(wireVersion);
const session = z.string().regex(/^[A-Za-z0-9_-]{8,40}$/);
const unixMs = z.int().min(0);
const replicas = z.int().min(0).max(2_147_483_647);
const text = (max: number) => z.string().max(max);
const colour = z.enum(['blue', 'orange', 'green', 'yellow', 'sky', 'vermilion', 'purple', 'white']);
/** The last two are only for bindings of verbs that older surfaces are not told of. */
const guard = z.enum(['zero', 'autoscaler', 'gitops', 'claims', 'disrupts', 'loses']);
const slotNumber = z
  .int()
  .min(0)
  .max(maxSlots - 1);
const controlName = z.string().regex(/^[a-z0-9-]{1,32}$/);

/** up/status, retained, also the will: a will carries the session of the birth that it belongs to. */
export const statusMessage = z.strictObject({
  v,
  state: z.enum(['online', 'offline']),
  session,
  seq: z.int().min(0),
  at: unixMs,
});

/** up/birth, retained: what has come online. */
export const birthMessage = z.strictObject({
  v,
  session,
  at: unixMs,
  model: text(64),
  firmware: text(64),
  controls: z
    .array(
      z.strictObject({
        name: controlName,
        kind: z.enum(['fader', 'encoder', 'pads', 'button']),
        /** A fader that the host can move; bindings then take over by motor unless they say otherwise. */
        hasMotor: z.boolean().optional(),
      }),
    )
    .max(64),
  /** `synced`: follows the gateway's beats; `unset`: no beat yet, commands are not sent. */
  clock: z.enum(['synced', 'unset']),
});

/** up/cmd, QoS 1, never retained. */
export const commandMessage = z.strictObject({
  v,
  id: z.string().regex(/^[A-Za-z0-9_-]{8,40}-[0-9]{1,10}$/),
  slot: slotNumber,
  want: replicas,
  saw: replicas,
  /** Gateway time when the operator asked, by the surface's synchronised clock. */
  issuedAt: unixMs,
  ttlMs: z.int().min(1).max(maxTtlMs),
  arm: z.array(guard).max(4).optional(),
  /**
   * The trace that this belongs to (traceparent.ts); one that is not well-formed is as good as none. Only for gateways that
   * have sent the ctl message `tracing`: older ones refuse a command with it.
   */
  traceparent: text(maxTraceparentLength).optional(),
});

const version = z.string().regex(versionPattern);

/**
 * How a surface stands to updates. `unsupported`: not by the gateway, `detail` says why. `idle`: one can be asked for.
 * `restarting`: installed, and waits until nobody uses it, or restarts. `trial`: runs it, and does not know yet whether it
 * stays. `failed`: what runs is what ran before.
 */
export const updateReport = z.strictObject({
  state: z.enum(['unsupported', 'idle', 'installing', 'restarting', 'trial', 'failed']),
  /** Which version this is about; null: none. */
  version: version.nullable(),
  detail: text(256),
});

/**
 * up/tele: counters since start, QoS 0. With `update` it is sent after every birth and at every change, QoS 1: here and
 * not in the birth, because gateways that know nothing of updates let go of all of it and would refuse such a birth.
 */
export const teleMessage = z.strictObject({
  v,
  at: unixMs,
  counters: z.record(z.string().regex(/^[a-zA-Z0-9_.-]{1,48}$/), z.number()),
  update: updateReport.optional(),
});

/**
 * up/certificate, QoS 1: the client certificate of this connection, DER in base64. Sent when the ctl message
 * `show-certificate` asks for it and with every birth after that, to gateways that do not see the connection themselves.
 */
export const certificateMessage = z.strictObject({
  v,
  certificate: z
    .string()
    .max(3072)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/),
});

/** down/ack, QoS 1. */
export const ackMessage = z.strictObject({
  v,
  id: z.string().max(64),
  phase: z.enum([
    'received',
    'accepted',
    'converged',
    'blocked',
    'reverted',
    'stale',
    'expired',
    'denied',
    'needs-arm',
  ]),
  code: text(64),
  now: replicas.nullable(),
  detail: text(512),
  guards: z.array(guard).max(4),
});

const podLight = z.enum(['ready', 'running', 'pending', 'crashed', 'terminating']);

/** down/slot/<n>, retained. `podsLeftOut` counts Pods that did not fit in 4 KiB. */
export const slotMessage = z.strictObject({
  v,
  rev: z.int().min(0),
  at: unixMs,
  name: text(63),
  colour,
  kind: text(63),
  desired: replicas.nullable(),
  observed: replicas,
  ready: replicas,
  pods: z.array(z.tuple([text(16), podLight])).max(512),
  podsLeftOut: replicas,
  condition: z.strictObject({
    state: z.enum(['ok', 'progressing', 'blocked', 'missing', 'denied', 'unreachable', 'unknown']),
    reason: text(64),
    message: text(512),
  }),
  owner: z.strictObject({ kind: z.enum(['autoscaler', 'gitops']), name: text(128) }).nullable(),
});

const bindingMessage = z.strictObject({
  slot: slotNumber,
  control: controlName,
  bank: z.int().min(0).max(63),
  name: text(63),
  colour,
  min: replicas,
  max: replicas,
  step: z.int().min(1).max(1000),
  takeover: z.enum(['pickup', 'motor', 'relative', 'jump']),
  zero: z.enum(['never', 'arm']),
  isInverted: z.boolean(),
});

/** A binding that does something else than to scale; the names of the verbs only grow. */
const verbBindingMessage = bindingMessage.extend({
  verb: z.enum(['floor', 'ceiling', 'restart', 'pause', 'suspend', 'cordon', 'drain']),
});

/** Bindings in one `bindings` message, so that it stays under 4 KiB. */
export const bindingsPerPart = 12;

/** down/ctl, QoS 1. Bindings come in parts; a surface applies them when all parts of a `rev` are there. */
export const ctlMessage = z.discriminatedUnion('type', [
  z.strictObject({ v, type: z.literal('rebirth') }),
  z.strictObject({
    v,
    type: z.literal('bindings'),
    rev: z.int().min(0),
    part: z.int().min(0).max(63),
    parts: z.int().min(1).max(64),
    bindings: z.array(bindingMessage).max(bindingsPerPart),
    /** How this surface is trusted: shown as "not attested" unless `tpm`. */
    trust: z.enum(['tpm', 'token']),
  }),
  /**
   * The bindings of other verbs, in parts of their own, sent right before the `bindings` of the same `rev`, which they belong
   * to. Surfaces that know nothing of verbs count it as unreadable and go on with the bindings that scale.
   */
  z.strictObject({
    v,
    type: z.literal('verbs'),
    rev: z.int().min(0),
    part: z.int().min(0).max(63),
    parts: z.int().min(1).max(64),
    bindings: z.array(verbBindingMessage).max(bindingsPerPart),
  }),
  z.strictObject({ v, type: z.literal('renew'), reason: text(256) }),
  /** Surfaces that know nothing of updates count it as unreadable and go on. The bundle is at {@link bundlePath}. */
  z.strictObject({
    v,
    type: z.literal('update'),
    version,
    /** SHA-256 of the manifest in the bundle, hex: exactly this content. */
    manifestSha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  /**
   * This gateway follows traces: commands may carry a `traceparent`, until the next bindings, which may be those of another
   * gateway. Surfaces that know nothing of traces count it as unreadable and go on.
   */
  z.strictObject({ v, type: z.literal('tracing') }),
  /**
   * Comes before the bindings: this gateway serves the surface from now on, and its status alone is heartbeat and clock. Another
   * session means what a gateway that was restarted means. Surfaces that know nothing of it count it as unreadable and
   * take the latest status of any gateway, as all do before the first one and when bindings come without it.
   */
  z.strictObject({ v, type: z.literal('served'), gateway: z.string().regex(segmentPattern), session }),
  /** The gateway of this session does not act for the surface any more; whoever does will say so. */
  z.strictObject({ v, type: z.literal('unserved'), session }),
  /** Surfaces that know nothing of it count it as unreadable; they are asked to renew then. */
  z.strictObject({ v, type: z.literal('show-certificate') }),
]);

/** Where a gateway has the bundle of a version, on the address where surfaces enrol. */
export const bundlePath = (version: string): string => `/v1/updates/${version}.raucb`;

/** _gw/<gateway>/status, retained, will; repeated every {@link beatIntervalMs} as heartbeat and clock. */
export const gatewayStatusMessage = z.strictObject({
  v,
  state: z.enum(['online', 'offline']),
  session,
  seq: z.int().min(0),
  at: unixMs,
  apiHealthy: z.boolean(),
  /** Why the API server is not healthy; empty when it is. */
  detail: text(256),
});

export type StatusMessage = z.infer<typeof statusMessage>;
export type BirthMessage = z.infer<typeof birthMessage>;
export type CommandMessage = z.infer<typeof commandMessage>;
export type TeleMessage = z.infer<typeof teleMessage>;
export type UpdateReport = Readonly<z.infer<typeof updateReport>>;
export type CertificateMessage = z.infer<typeof certificateMessage>;
export type AckMessage = z.infer<typeof ackMessage>;
export type SlotMessage = z.infer<typeof slotMessage>;
export type CtlMessage = z.infer<typeof ctlMessage>;
export type GatewayStatusMessage = z.infer<typeof gatewayStatusMessage>;

/** The outcome of reading a payload: a message, or one sentence that names the field. */
export type Decoded<T> =
  | { readonly ok: true; readonly message: T }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads one payload from the wire: size, JSON, version, schema. Never throws.
 * @param schema one of the message schemas of this file
 */
export function decode<S extends z.ZodType>(schema: S, payload: Uint8Array): Decoded<z.infer<S>> {
  if (payload.length > maxMessageBytes) {
    return {
      ok: false,
      problem: `message of ${payload.length} bytes, at most ${maxMessageBytes} are allowed`,
    };
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    return { ok: false, problem: 'message is not JSON in UTF-8' };
  }
  const version = typeof value === 'object' && value !== null && 'v' in value ? value.v : undefined;
  if (version !== wireVersion) {
    return {
      ok: false,
      problem: `v: version ${JSON.stringify(version)?.slice(0, 20)} is not known here, only ${wireVersion}`,
    };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, message: parsed.data };
  const issue = parsed.error.issues[0];
  return {
    ok: false,
    problem: `${issue?.path.join('.') || 'message'}: ${issue?.message ?? 'invalid'}`.slice(0, 300),
  };
}

/**
 * Writes one message as payload.
 * @throws Error when it is over {@link maxMessageBytes}: a defect of the caller, who must have cut it to size
 */
export function encode(message: { readonly v: number }): Buffer {
  const payload = Buffer.from(JSON.stringify(message));
  if (payload.length > maxMessageBytes)
    throw new Error(`message of ${payload.length} bytes is over the wire limit`);
  return payload;
}

/**
 * Writes a slot message, leaving out Pods from the end until it fits; `podsLeftOut` says how many. When it does
 * not fit without any Pod (JSON writes a control character as six bytes), the condition's message is cut.
 * @throws Error when other texts are over their limits: a defect of the caller
 */
export function encodeSlot(message: SlotMessage): Buffer {
  let { pods, condition } = message;
  for (;;) {
    const payload = Buffer.from(
      JSON.stringify({
        ...message,
        pods,
        podsLeftOut: message.podsLeftOut + message.pods.length - pods.length,
        condition,
      }),
    );
    const surplus = payload.length - maxMessageBytes;
    if (surplus <= 0) return payload;
    if (pods.length > 0) {
      const share = Math.ceil((surplus / payload.length) * pods.length);
      pods = pods.slice(0, Math.max(0, pods.length - share));
    } else if (condition.message.length === 0) {
      throw new Error(`slot message of ${payload.length} bytes is over the wire limit`);
    } else {
      // At least one byte a character, six at most: a sixth of the surplus never cuts too much.
      const text = condition.message;
      condition = { ...condition, message: text.slice(0, Math.max(0, text.length - Math.ceil(surplus / 6))) };
    }
  }
}
