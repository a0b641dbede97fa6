/**
 * Topic names. Direction is a fixed segment, so an ACL is two patterns a surface on every broker; segments
 * are `[a-z0-9-]`, because NATS and AMQP mappings do not survive dots and spaces.
 */

/** Changes when a message changes in a way that old ends cannot read. */
export const wireVersion = 1;

export const topicRoot = 'surfaced/v1';

/** A site, surface or gateway name: one topic segment. */
export const segmentPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Slots of one surface are numbered below this. */
export const maxSlots = 64;

export type UpLeaf = 'status' | 'birth' | 'cmd' | 'tele' | 'certificate';

/** Where a topic of ours points, or null when it is not one of ours. */
export type Address =
  | { readonly site: string; readonly surface: string; readonly direction: 'up'; readonly leaf: UpLeaf }
  | {
      readonly site: string;
      readonly surface: string;
      readonly direction: 'down';
      readonly leaf: 'ack' | 'ctl';
    }
  | {
      readonly site: string;
      readonly surface: string;
      readonly direction: 'down';
      readonly leaf: 'slot';
      readonly slot: number;
    }
  | {
      readonly site: string;
      readonly gateway: string;
      readonly direction: 'gateway';
      readonly leaf: 'status';
    };

export const upTopic = (site: string, surface: string, leaf: UpLeaf): string =>
  `${topicRoot}/${site}/${surface}/up/${leaf}`;
export const ackTopic = (site: string, surface: string): string => `${topicRoot}/${site}/${surface}/down/ack`;
export const ctlTopic = (site: string, surface: string): string => `${topicRoot}/${site}/${surface}/down/ctl`;
export const slotTopic = (site: string, surface: string, slot: number): string =>
  `${topicRoot}/${site}/${surface}/down/slot/${slot}`;
export const gatewayStatusTopic = (site: string, gateway: string): string =>
  `${topicRoot}/${site}/_gw/${gateway}/status`;

/** What a surface subscribes to, and may receive. */
export const surfaceFilters = (site: string, surface: string): readonly string[] => [
  `${topicRoot}/${site}/${surface}/down/#`,
  `${topicRoot}/${site}/_gw/+/status`,
];

/** What a gateway subscribes to. */
export const gatewayFilters = (site: string): readonly string[] => [
  `${topicRoot}/${site}/+/up/#`,
  `${topicRoot}/${site}/_gw/+/status`,
];

const upLeaves: ReadonlySet<string> = new Set<UpLeaf>(['status', 'birth', 'cmd', 'tele', 'certificate']);

/** Reads a topic; null for anything that is not exactly one of ours. */
export function parseTopic(topic: string): Address | null {
  if (topic.length > 256) return null;
  const segments = topic.split('/');
  if (segments[0] !== 'surfaced' || segments[1] !== 'v1') return null;
  const [, , site, name, direction, leaf, slot] = segments;
  if (!site || !segmentPattern.test(site) || !name || !direction || !leaf) return null;
  if (name === '_gw') {
    const ok = segments.length === 6 && leaf === 'status' && segmentPattern.test(direction);
    return ok ? { site, gateway: direction, direction: 'gateway', leaf: 'status' } : null;
  }
  if (!segmentPattern.test(name)) return null;
  if (direction === 'up' && segments.length === 6 && upLeaves.has(leaf)) {
    return { site, surface: name, direction, leaf: leaf as UpLeaf };
  }
  if (direction !== 'down') return null;
  if (segments.length === 6 && (leaf === 'ack' || leaf === 'ctl'))
    return { site, surface: name, direction, leaf };
  if (
    segments.length === 7 &&
    leaf === 'slot' &&
    slot &&
    /^(?:0|[1-9][0-9]?)$/.test(slot) &&
    Number(slot) < maxSlots
  ) {
    return { site, surface: name, direction, leaf, slot: Number(slot) };
  }
  return null;
}
