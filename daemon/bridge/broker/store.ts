/**
 * What the broker remembers, in place of aedes' own memory store: retained messages on topics of ours, found by
 * surface, and nothing else. Every session is clean, so there are no queues and no stored subscriptions for
 * absent clients to fill; QoS 2 is refused, so there is no inbound store.
 */
import { Readable } from 'node:stream';
import type { AedesPublishPacket } from 'aedes';
import { parseTopic, topicRoot } from '../wire/topics.ts';

type Retained = Map<string, AedesPublishPacket>;

/**
 * The persistence contract of aedes 1.x (aedes-persistence, abstract.js), for clean sessions only. A surface has
 * at most status, birth and {@link maxSlots} slots retained; the topic grammar is the bound.
 */
export class CleanSessionStore {
  readonly #bySurface = new Map<string, Retained>();
  readonly #gateways: Retained = new Map();

  async setup(): Promise<void> {}
  async destroy(): Promise<void> {}

  async storeRetained(packet: AedesPublishPacket): Promise<void> {
    const address = parseTopic(packet.topic);
    if (address === null) return;
    if (address.direction === 'gateway') {
      if (packet.payload.length === 0) this.#gateways.delete(packet.topic);
      else this.#gateways.set(packet.topic, packet);
      return;
    }
    const kept: Retained = this.#bySurface.get(address.surface) ?? new Map();
    if (packet.payload.length === 0) kept.delete(packet.topic);
    else kept.set(packet.topic, packet);
    if (kept.size === 0) this.#bySurface.delete(address.surface);
    else this.#bySurface.set(address.surface, kept);
  }

  /** Retained messages for filters as the rules grant them; aedes' own store would try every topic there is. */
  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(filters.flatMap((filter) => this.#matching(filter)));
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter]);
  }

  #matching(filter: string): AedesPublishPacket[] {
    const exact = parseTopic(filter);
    if (exact !== null) {
      const kept = exact.direction === 'gateway' ? this.#gateways : this.#bySurface.get(exact.surface);
      const packet = kept?.get(filter);
      return packet === undefined ? [] : [packet];
    }
    if (/^[^+#]*\/_gw\/\+\/status$/.test(filter)) return [...this.#gateways.values()];
    const surface = filter.startsWith(`${topicRoot}/`) ? filter.split('/')[3] : undefined;
    if (surface === undefined || !filter.endsWith(`/${surface}/down/#`)) return [];
    const kept = this.#bySurface.get(surface) ?? new Map<string, AedesPublishPacket>();
    return [...kept.values()].filter((packet) => parseTopic(packet.topic)?.direction === 'down');
  }

  // No session outlives its connection.
  async addSubscriptions(): Promise<void> {}
  async removeSubscriptions(): Promise<void> {}
  async cleanSubscriptions(): Promise<void> {}
  async subscriptionsByClient(): Promise<never[]> {
    return [];
  }
  async subscriptionsByTopic(): Promise<never[]> {
    return [];
  }
  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return { subsCount: 0, clientsCount: 0 };
  }
  getClientList(): Readable {
    return Readable.from([]);
  }

  // Nothing is queued for anybody.
  async outgoingEnqueue(): Promise<void> {}
  async outgoingEnqueueCombi(): Promise<void> {}
  async outgoingUpdate(): Promise<void> {}
  async outgoingClearMessageId(): Promise<void> {}
  outgoingStream(): Readable {
    return Readable.from([]);
  }

  // QoS 2 is refused before it is stored.
  async incomingStorePacket(): Promise<void> {}
  async incomingGetPacket(): Promise<never> {
    throw new Error('no such packet');
  }
  async incomingDelPacket(): Promise<never> {
    throw new Error('no such packet');
  }
  async cleanIncoming(): Promise<void> {}

  // aedes sends the will of a connected client from memory. Stored wills are for brokers that have died, judged
  // by the wall clock: a jump of it would publish the wills of live surfaces.
  async putWill(): Promise<void> {}
  async getWill(): Promise<void> {}
  async delWill(): Promise<void> {}
  streamWill(): Readable {
    return Readable.from([]);
  }
}
