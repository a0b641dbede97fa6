/** What the panel's server and its pages say to each other: JSON over one WebSocket. */
import { z } from 'zod';
import type { Frame, PanelSpec, Rgb, Strip } from '../../../daemon/surface/types.ts';

/** Longest message that a page may send, in bytes. */
export const maxPageMessageBytes = 512;

/** Most pulses in one message; a page that turns faster sends several. */
export const maxPulses = 64;

const control = z.string().regex(/^[a-z0-9-]{1,32}$/);

/** What a page may send; what is not exactly one of these closes its socket. */
export const pageMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('position'), control, value: z.number().min(0).max(1) }),
  z.strictObject({ type: z.literal('touch'), control, isTouched: z.boolean() }),
  z.strictObject({ type: z.literal('turn'), control, pulses: z.int().min(-maxPulses).max(maxPulses) }),
  z.strictObject({ type: z.literal('press'), control }),
  z.strictObject({ type: z.literal('release'), control }),
]);

/** One event from a page. */
export type PageMessage = z.infer<typeof pageMessageSchema>;

/** What the page says about the demo around the panel. */
export interface DemoFacts {
  /** `name` is the context of the kubeconfig when the cluster is real. */
  readonly cluster: { readonly isSimulated: boolean; readonly name: string };
  /** File to give to kubectl; null while there is none. */
  readonly kubeconfigPath: string | null;
  /** Namespace for the kubectl hint; null for all of them. */
  readonly namespace: string | null;
  /** What the gateway holds of this surface. */
  readonly trust: {
    readonly isAttested: boolean;
    /** 0 to 3, null when not attested. */
    readonly level: number | null;
    /** What may be said of it, one sentence. */
    readonly sentence: string;
    /** What an operator compared, or has to compare; null: nothing. */
    readonly pairingCode: string | null;
    /** Hex of SHA-256 of the endorsement key; null: it has none that is approved. */
    readonly ekSha256: string | null;
  };
  /** Version by program, e.g. `surfaced`. */
  readonly versions: Readonly<Record<string, string>>;
}

/** One part of the demo and whether it is up, as `/healthz` says it. */
export interface HealthReport {
  readonly ok: boolean;
  readonly parts: Readonly<Record<string, { readonly ok: boolean; readonly detail: string }>>;
}

/** What one control shows; the frame's feedback under its control's name. */
export interface ControlShow {
  readonly ring: number | null;
  readonly light: Rgb;
  readonly hint: 'up' | 'down' | null;
}

/** Everything on the panel's face, in parts; a frame message carries the parts that changed. */
export interface Face {
  /** Row-major from the top left, six hex digits a light; null on a panel without a matrix. */
  readonly matrix: { readonly width: number; readonly height: number; readonly hex: string } | null;
  readonly controls: Readonly<Record<string, ControlShow>>;
  readonly strips: readonly Strip[];
  readonly bank: Frame['bank'];
  readonly link: Frame['link'];
  readonly isLocked: boolean;
  /** Where each fader stands, 0..1, whoever moved it. */
  readonly positions: Readonly<Record<string, number>>;
}

/** What the server sends. */
export type ServerMessage =
  /** First on every connection. */
  | { readonly type: 'hello'; readonly spec: PanelSpec; readonly face: Face }
  | { readonly type: 'frame'; readonly face: Partial<Face> }
  | { readonly type: 'facts'; readonly facts: DemoFacts; readonly health: HealthReport }
  /** Shows that the server lives; a page that hears nothing for long connects anew. */
  | { readonly type: 'beat' };
