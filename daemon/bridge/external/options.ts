/** What connecting to an external broker takes and gives. */
import type { Identity } from '../../attest/types.ts';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { Observe } from '../observer.ts';
import type { GatewayBus } from '../wire/bus.ts';
import type { BrokerTls } from './connect.ts';

/** Milliseconds unless named otherwise; tests shorten them. */
export interface ExternalTiming {
  readonly backOffMinMs: number;
  readonly backOffEagerMs: number;
  readonly backOffMaxMs: number;
  /** From the start of an attempt to the granted subscription. */
  readonly connectDeadlineMs: number;
  /** A message that the broker has not confirmed for so long: the connection is given up, whatever its keepalive says. */
  readonly unconfirmedMs: number;
  /** Kept messages come in this time after a connection; who has not been heard of by then is asked. */
  readonly settleMs: number;
  /** Certificates and trust are looked at again this often. */
  readonly sweepMs: number;
}

/** The values used outside tests. */
export const defaultTiming: ExternalTiming = {
  backOffMinMs: 500,
  backOffEagerMs: 2000,
  backOffMaxMs: 15_000,
  connectDeadlineMs: 10_000,
  unconfirmedMs: 15_000,
  settleMs: 2000,
  sweepMs: 1000,
};

export interface ExternalBrokerOptions {
  /** `mqtts://host:port` of nodes of one broker, taken in turn. */
  readonly urls: readonly string[];
  /** Read before every connection, so that files that were renewed are taken. @throws SurfacedError */
  readonly tls: () => BrokerTls | Promise<BrokerTls>;
  readonly login: { readonly username: string; readonly password: string } | null;
  /** Another one for each gateway: a broker ends the older of two connections of one id. */
  readonly clientId: string;
  readonly site: string;
  /** Name of this gateway on the wire. */
  readonly gateway: string;
  /** Session of this gateway's status, for the will: a surface heeds only that of the session that it knows. */
  readonly session: string;
  /** Who a surface is by the newest certificate that it has shown and that was not withdrawn, null without one. */
  readonly identityOf: (surface: string) => Identity | null;
  /** A surface shows its certificate (DER); whether it counts. */
  readonly shown: (surface: string, certificate: Uint8Array) => boolean;
  /** Certificates that the surface was given so far do not count any more: this gateway or another one says so. */
  readonly withdrawn: (surface: string) => void;
  /** Whether the surface may act now; asked at every message and every second. */
  readonly isAllowed: (identity: Identity) => boolean;
  /** Surfaces that are asked to say what they are when nothing is heard of them: brokers may keep nothing. */
  readonly surfaces: () => Iterable<string>;
  /** Whether the broker keeps surfaces apart is tried with this at every connection; null: it is not tried. */
  readonly probe: { readonly surface: string; readonly other: string; tls(): Promise<BrokerTls> } | null;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly observe: Observe;
  readonly timing: Partial<ExternalTiming> | null;
}

export interface ExternalBus extends GatewayBus {
  health(): { readonly ok: boolean; readonly detail: string };
  /** Surfaces that are there. */
  readonly sessions: number;
  /** Identity of a surface that is there, null otherwise. */
  identityOf(surface: string): Identity | null;
}
