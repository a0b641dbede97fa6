/**
 * What can be watched of the bridge, for metrics and traces: it knows nothing of either. Whoever watches must not
 * throw, and must not keep what it is shown for longer than the command lives.
 */
import type { Command, End } from './gateway/command.ts';
import type { KubeEvent } from './kube/observer.ts';

/** Why the broker did not take a connection in, or ended it. */
export type ConnectionRefusal =
  | 'handshake'
  | 'identity'
  | 'rate'
  | 'full'
  | 'withdrawn'
  | 'expired'
  | 'backlog';

/** One thing that happened. */
export type BridgeEvent =
  | KubeEvent
  | { readonly type: 'connection-refused'; readonly reason: ConnectionRefusal }
  /** A publish of a surface that went nowhere; `code` as the surface is told. */
  | { readonly type: 'message-dropped'; readonly code: string }
  /** A message of a surface that no schema takes. */
  | { readonly type: 'message-unreadable'; readonly leaf: string }
  /** A command with an id that was seen before. */
  | { readonly type: 'command-repeated' }
  | { readonly type: 'command-accepted'; readonly command: Command; readonly at: number }
  | {
      readonly type: 'command-ended';
      readonly command: Command;
      readonly end: End;
      /** Unix milliseconds. */
      readonly at: number;
    };

export type Observe = (event: BridgeEvent) => void;

/** Nobody watches. */
export const unobserved: Observe = () => {};

/** Follows commands through everything that is done for them. */
export interface CommandTracer {
  /** A command has come in. @returns id of its trace, null when it has none */
  begin(command: Command): string | null;
  /** Does the work so that whatever it asks of the API server is known to be for this command. */
  within<T>(command: Command, work: () => Promise<T>): Promise<T>;
}

/** Nobody follows. */
export const untraced: CommandTracer = {
  begin: () => null,
  within: (_command, work) => work(),
};
