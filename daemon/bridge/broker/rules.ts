/** Who may publish, subscribe and receive what: one table, asked by every hook of the broker. Pure. */
import { decode, maxMessageBytes, statusMessage } from '../wire/messages.ts';
import { parseTopic, surfaceFilters, topicRoot, upTopic } from '../wire/topics.ts';

/** The sender, as its certificate names it. */
export interface Party {
  readonly site: string;
  readonly surface: string;
}

export interface Publication {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: number;
  readonly isRetained: boolean;
}

/**
 * What becomes of a publish. `drop`: the sender is well-formed but may not do this; it is answered by a message,
 * because MQTT 3.1.1 has no negative PUBACK and a closed connection makes clients send it again for ever.
 * `close`: no surface of ours would send this.
 */
export type Verdict =
  | { readonly type: 'pass' }
  | { readonly type: 'drop'; readonly code: string; readonly detail: string }
  | { readonly type: 'close'; readonly reason: string };

const retainable: ReadonlySet<string> = new Set(['status', 'birth']);

/** Judges a publish: own `up/` leaves only, small, QoS 0 or 1, retained only where the wire says so. */
export function judgePublish(party: Party, publication: Publication): Verdict {
  const { topic } = publication;
  if (!topic.startsWith(`${topicRoot}/${party.site}/${party.surface}/up/`))
    return { type: 'close', reason: 'published to a topic that is not its own' };
  if (publication.qos > 1) return { type: 'close', reason: 'published with QoS 2' };
  const address = parseTopic(topic);
  if (address === null || address.direction !== 'up') {
    // Another leaf may be a newer surface's; control characters are nobody's.
    if (!/^[\x20-\x7e]*$/.test(topic))
      return { type: 'close', reason: 'published to a topic with control characters' };
    return { type: 'drop', code: 'UnknownTopic', detail: 'This gateway does not know the topic.' };
  }
  if (publication.payload.length > maxMessageBytes) {
    return { type: 'drop', code: 'TooLarge', detail: `A message may have ${maxMessageBytes} bytes at most.` };
  }
  if (publication.isRetained && !retainable.has(address.leaf)) {
    return { type: 'drop', code: 'RetainRefused', detail: `up/${address.leaf} must not be retained.` };
  }
  return { type: 'pass' };
}

/** Says what is wrong with a will, or null: only the surface's own retained `offline` may be one. */
export function problemOfWill(party: Party, will: Publication): string | null {
  if (will.topic !== upTopic(party.site, party.surface, 'status')) return 'will is not on the own up/status';
  if (will.qos > 1) return 'will has QoS 2';
  const status = decode(statusMessage, will.payload);
  if (!status.ok) return `will: ${status.problem}`;
  return status.message.state === 'offline' ? null : 'will does not say offline';
}

/** Whether a surface may receive a message on this topic. */
export function mayReceive(party: Party, topic: string): boolean {
  const address = parseTopic(topic);
  if (address === null || address.site !== party.site) return false;
  return (
    address.direction === 'gateway' || (address.direction === 'down' && address.surface === party.surface)
  );
}

/** Whether a surface may subscribe to this filter: its two filters, or one topic that it may receive. */
export function maySubscribe(party: Party, filter: string): boolean {
  return surfaceFilters(party.site, party.surface).includes(filter) || mayReceive(party, filter);
}
