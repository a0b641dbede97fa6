/** How the gateway loop speaks MQTT: the embedded broker implements it in-process, an external one by a client. */

/** A message of a surface; its topic has been checked against the identity of the sender. */
export interface BusMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Set on messages that were kept from before; a command that carries it is refused. */
  readonly isRetained: boolean;
}

export interface GatewayBus {
  publish(
    topic: string,
    payload: Uint8Array,
    options: { readonly qos: 0 | 1; readonly isRetained: boolean },
  ): Promise<void>;
  /** One listener; it must not throw. */
  onMessage(listener: (message: BusMessage) => void): void;
  /** A surface's session began or ended, as the transport saw it. */
  onSession(listener: (surface: string, isConnected: boolean) => void): void;
  /** Closes all sessions of a surface within two seconds; `reason` is logged. */
  disconnect(surface: string, reason: string): void;
  close(): Promise<void>;
}
