/**
 * The contract between the panel (`hw`), the pure heart (`surface`) and the relay (`bridge`).
 * Types only: no I/O, no clock. Times named `at` are monotonic milliseconds given by the caller.
 */

/** Monotonic milliseconds since an arbitrary start. */
export type Millis = number;

/** 8-bit red, green, blue. */
export type Rgb = readonly [red: number, green: number, blue: number];

// ---------------------------------------------------------------- the panel

/**
 * `fader`: absolute position. `encoder`: relative turns, with or without push. `pads`: a row of `steps`
 * pads, each an absolute choice, that also takes relative turns (+1 and -1 buttons). `button`: press only.
 */
export type ControlKind = 'fader' | 'encoder' | 'pads' | 'button';

/** One control of a panel, as its driver declares it. */
export interface ControlSpec {
  /** Unique on the panel, `[a-z0-9-]{1,32}`, e.g. `fader1`. */
  readonly name: string;
  readonly kind: ControlKind;
  /** The host can move it (motor fader). */
  readonly hasMotor?: boolean;
  /** It reports being touched. */
  readonly hasTouch?: boolean;
  /** Encoders: pulses for one detent; 1 when the device already counts detents. */
  readonly pulsesPerDetent?: number;
  /** Pads: number of pads in the row. */
  readonly steps?: number;
}

/** Which controls do something for the whole surface rather than for one binding. */
export interface Roles {
  /** Held to confirm what is risky. */
  readonly arm?: string;
  readonly undo?: string;
  readonly bankNext?: string;
  readonly bankPrevious?: string;
  /** Long press locks and unlocks. */
  readonly lock?: string;
}

/** What a panel consists of. */
export interface PanelSpec {
  readonly model: string;
  readonly controls: readonly ControlSpec[];
  /** The light matrix; row 0 is the top, column 0 the left. Null on a panel without one. */
  readonly matrix: { readonly width: number; readonly height: number } | null;
  readonly roles: Roles;
}

/** What a panel reports. Positions run from 0 (bottom) to 1 (top); clockwise is positive. */
export type ControlEvent =
  | { readonly type: 'position'; readonly control: string; readonly value: number }
  | { readonly type: 'touch'; readonly control: string; readonly isTouched: boolean }
  | { readonly type: 'turn'; readonly control: string; readonly pulses: number }
  /** `index` is the pad in a row of pads, counted from 0. */
  | { readonly type: 'press'; readonly control: string; readonly index?: number }
  | { readonly type: 'release'; readonly control: string; readonly index?: number }
  /** These controls (null: all) were lost or opened anew; their next reading is a first reading. */
  | { readonly type: 'reset'; readonly controls: readonly string[] | null }
  /** All controls that are not there now, e.g. because their chip does not answer; told anew when it changes. */
  | { readonly type: 'missing'; readonly controls: readonly string[] };

/**
 * A panel, real or `sim`. A driver reports through `emit` and shows frames; it re-opens its device by itself
 * when it comes back, and emits `reset` then.
 */
export interface Panel {
  readonly spec: PanelSpec;
  /** Opens the device and keeps it open until the signal fires. Resolves when first opened or first failed. */
  start(signal: AbortSignal, emit: (event: ControlEvent) => void): Promise<void>;
  /** Shows a frame; sends only what changed. Never throws; a lost device is reported by `state`. */
  show(frame: Frame): void;
  /** Leaves the panel dark and in its own mode; may be called twice. */
  stop(): Promise<void>;
  /** What the device is doing now, for status pages. */
  readonly state: PanelState;
}

export interface PanelState {
  readonly isOpen: boolean;
  /** Last error in one sentence, null when all is well. */
  readonly problem: string | null;
  /** Names of controls that are missing while the rest of the panel is open. */
  readonly missing?: readonly string[];
}

// ---------------------------------------------------------------- from the gateway

export type Takeover = 'pickup' | 'motor' | 'relative' | 'jump';

/**
 * Why a command needs arming before it acts. `disrupts`: Pods in service are ended. `loses`: something is lost that nothing
 * brings back.
 */
export type Guard = 'zero' | 'autoscaler' | 'gitops' | 'claims' | 'disrupts' | 'loses';

/** What a control does with its target. */
export type Verb = 'scale' | 'floor' | 'ceiling' | 'restart' | 'pause' | 'suspend' | 'cordon' | 'drain';

/** A binding as the surface needs it; the target itself stays on the gateway. */
export interface Binding {
  /** Number of the slot topic, 0..63. */
  readonly slot: number;
  readonly control: string;
  readonly bank: number;
  readonly name: string;
  readonly colour: Colour;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly takeover: Takeover;
  readonly zero: 'never' | 'arm';
  /** Left out: it scales. */
  readonly verb?: Verb;
  /** Turns against the usual direction. */
  readonly isInverted: boolean;
}

/** Palette names; hues are chosen to be told apart with any common colour blindness. */
export type Colour = 'blue' | 'orange' | 'green' | 'yellow' | 'sky' | 'vermilion' | 'purple' | 'white';

/** `running` has started but is not ready; `crashed` is crash-looping or failed. */
export type PodLight = 'ready' | 'running' | 'pending' | 'crashed' | 'terminating';

export interface SlotCondition {
  /** `missing`: no such target. `denied`: RBAC says no. `unreachable`: the API server is away. */
  readonly state: 'ok' | 'progressing' | 'blocked' | 'missing' | 'denied' | 'unreachable' | 'unknown';
  /** CamelCase word as Kubernetes uses it, e.g. `QuotaExceeded`, `CrashLoopBackOff`; empty when ok. */
  readonly reason: string;
  /** One sentence for people; empty when ok. */
  readonly message: string;
}

/** Who else decides about the number: an autoscaler or a GitOps tool. */
export interface SlotOwner {
  readonly kind: 'autoscaler' | 'gitops';
  readonly name: string;
}

/** What the cluster does with one binding's target, as the gateway saw it last. */
export interface SlotView {
  /** Grows with every change; a lower one than shown is old. */
  readonly rev: number;
  /** Gateway time of the view, Unix milliseconds. */
  readonly at: number;
  readonly name: string;
  readonly colour: Colour;
  /** `Deployment`, `StatefulSet`, ... */
  readonly kind: string;
  /** spec.replicas; null while unknown. */
  readonly desired: number | null;
  /** status.replicas. */
  readonly observed: number;
  readonly ready: number;
  /** Key and state of each Pod. StatefulSet Pods have their ordinal as key; others the end of their name. */
  readonly pods: readonly (readonly [key: string, state: PodLight])[];
  readonly condition: SlotCondition;
  readonly owner: SlotOwner | null;
}

export type AckPhase =
  | 'received'
  | 'accepted'
  | 'converged'
  | 'blocked'
  | 'reverted'
  | 'stale'
  | 'expired'
  | 'denied'
  | 'needs-arm';

/** What became of a command. Every phase but `received` and `accepted` is an end. */
export interface Ack {
  /** `seq` of the intent. */
  readonly seq: number;
  readonly phase: AckPhase;
  /** CamelCase word that says which rule or reason, e.g. `QuotaExceeded`. */
  readonly code: string;
  /** spec.replicas now, null when unknown. */
  readonly now: number | null;
  /** One sentence for people. */
  readonly detail: string;
  /** With `needs-arm`: all guards to be armed. */
  readonly guards: readonly Guard[];
}

/** `stale`: connected, but the gateway or its API server has not been heard of for too long. */
export type LinkState = 'online' | 'stale' | 'offline';

/** Everything that can happen to a surface. */
export type SurfaceInput =
  | ControlEvent
  | { readonly type: 'bindings'; readonly bindings: readonly Binding[] }
  | { readonly type: 'slot'; readonly slot: number; readonly view: SlotView }
  | { readonly type: 'ack'; readonly ack: Ack }
  | {
      readonly type: 'link';
      readonly state: LinkState;
      readonly detail: string;
      /** False shows "not attested": the gateway trusts a token only. */
      readonly isAttested: boolean;
      /** Why it is offline; null while nothing has failed yet, and when it is not. */
      readonly fault: Fault | null;
    }
  /** What a person has to compare or type in before the surface may act; null: nothing. Shown while it is offline. */
  | { readonly type: 'pairing'; readonly code: string | null };

/**
 * Why a surface cannot work, as far as a picture can say it. `network`: the gateway is not reached. `refused`: it says
 * no, and trying again will not change that. `identity`: the surface cannot prove what it is, because its TPM or the logs
 * of this machine fail.
 */
export type Fault = 'network' | 'refused' | 'identity';

/** The absolute number that an operator asks for, with the number that they saw when they asked. */
export interface Intent {
  /** Counts up from 1 for the life of the surface. */
  readonly seq: number;
  readonly slot: number;
  readonly want: number;
  readonly saw: number;
  /** Guards that the operator has armed for this very command. */
  readonly arm: readonly Guard[];
}

// ---------------------------------------------------------------- to the panel

/** What one control should show. Null parts are left as they are on controls that cannot show them. */
export interface ControlFeedback {
  /** Where a motor should be, 0..1; null: do not move (touched, unknown or not bound). */
  readonly position: number | null;
  /** A ring or a bar of light: the value 0..1 it shows; null: off. */
  readonly ring: number | null;
  readonly light: Rgb;
  /** Which way to move to pick up the value; null when picked up or not bound. */
  readonly hint: 'up' | 'down' | null;
}

/** One binding of the current bank as text displays and pages show it. */
export interface Strip {
  readonly slot: number;
  readonly control: string;
  readonly name: string;
  readonly kind: string;
  readonly hue: Rgb;
  readonly min: number;
  readonly max: number;
  readonly desired: number | null;
  readonly observed: number;
  readonly ready: number;
  /** The number that the operator is setting or has sent and that is not confirmed yet. */
  readonly wanted: number | null;
  readonly hint: 'up' | 'down' | null;
  readonly condition: SlotCondition;
  readonly owner: SlotOwner | null;
  /** The control of this binding is not there now. */
  readonly isControlMissing: boolean;
  /** While a command waits to be armed. */
  readonly arming: {
    readonly want: number;
    readonly guards: readonly Guard[];
    /** Milliseconds until the request lapses. */
    readonly remainingMs: number;
    /** 0..1: how much of the hold is done. */
    readonly held: number;
  } | null;
  /** Last end of a command in words, null after a few seconds. */
  readonly notice: { readonly phase: AckPhase; readonly code: string; readonly text: string } | null;
}

/** Everything that the panel shows at one instant. */
export interface Frame {
  /** Row-major from the top left, three bytes a light; null on a panel without a matrix. */
  readonly matrix: { readonly width: number; readonly height: number; readonly rgb: Uint8Array } | null;
  readonly controls: ReadonlyMap<string, ControlFeedback>;
  readonly strips: readonly Strip[];
  readonly bank: { readonly index: number; readonly count: number };
  readonly link: { readonly state: LinkState; readonly detail: string; readonly isAttested: boolean };
  readonly isLocked: boolean;
  /** True while something moves or blinks, so that the caller asks again in about 40 ms. */
  readonly isAnimated: boolean;
}
