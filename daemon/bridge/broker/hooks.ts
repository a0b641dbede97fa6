/**
 * The hooks of aedes: each asks the rules, none throws, and every refusal carries an Error. An exception in a
 * hook would end the process; an error is never "allowed".
 */
import type { AedesOptions, AuthenticateError, Client } from 'aedes';
import { type AckMessage, commandMessage, decode } from '../wire/messages.ts';
import { wireVersion } from '../wire/topics.ts';
import { judgePublish, mayReceive, maySubscribe, type Publication, problemOfWill } from './rules.ts';
import type { Session } from './session.ts';

/** Where dropped publishes go: nobody subscribes to it, and no wildcard matches a `$` topic (MQTT 3.1.1, 4.7.2). */
const sinkTopic = '$surfaced/dropped';

/** A publish as the parser of aedes hands it over. */
export interface WirePublish {
  topic: string;
  payload: string | Buffer;
  qos: number;
  retain: boolean;
}

/** What the hooks need of the broker. */
export interface HookContext {
  sessionOf(client: Client): Session | undefined;
  /** Why this surface may not act now, or null. */
  problemOf(session: Session): string | null;
  complain(source: string, reason: string): void;
  /** A publish goes nowhere; `code` as its sender is told. */
  dropped(code: string): void;
  answer(session: Session, ack: AckMessage): void;
  /** True when so much waits for this client that nothing may be added; it is closed then. */
  isBacklogged(session: Session): boolean;
}

/** The same publish in the words of the rules. */
export const publicationOf = (packet: WirePublish): Publication => ({
  topic: packet.topic,
  payload: typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload,
  qos: packet.qos,
  isRetained: packet.retain,
});

/** All hooks that decide something; the defaults of aedes allow everything. */
export function createHooks(
  context: HookContext,
): Pick<
  AedesOptions,
  'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe' | 'authorizeForward'
> {
  const { sessionOf } = context;
  return {
    // Without an Error the socket of a refused CONNECT would stay open for ever.
    preConnect: (client, packet, callback) => {
      const problem = guarded(() => {
        const session = sessionOf(client);
        if (session === undefined) return 'no identity';
        if (packet.clientId !== session.surface) return 'client id is not the name in the certificate';
        // A stored session would keep subscriptions that were denied, and queue messages for them.
        packet.clean = true;
        return packet.will
          ? problemOfWill(session.identity, publicationOf(packet.will as WirePublish))
          : null;
      });
      if (problem === null) callback(null, true);
      else callback(new Error(problem), false);
    },

    authenticate: (client, _user, _password, callback) => {
      const problem = guarded(() => {
        const session = sessionOf(client);
        return session === undefined ? 'no identity' : context.problemOf(session);
      });
      if (problem === null) callback(null, true);
      // 5: not authorized (MQTT 3.1.1, table 3.1).
      else callback(Object.assign(new Error(problem), { returnCode: 5 }) as AuthenticateError, null);
    },

    authorizePublish: (client, packet, callback) => {
      const problem = guarded(() => passPublish(context, client, packet as WirePublish));
      callback(problem === null ? null : new Error(problem));
    },

    authorizeSubscribe: (client, subscription, callback) => {
      const problem = guarded(() => {
        const session = sessionOf(client);
        if (session === undefined || !maySubscribe(session.identity, subscription.topic)) {
          context.complain(session?.surface ?? 'unknown', 'subscribed to what is not its own');
          return 'denied';
        }
        return session.messages.take() ? null : 'too many';
      });
      callback(null, problem === null ? subscription : null);
    },

    authorizeForward: (client, packet) => {
      const problem = guarded(() => {
        const session = sessionOf(client);
        if (session === undefined || !mayReceive(session.identity, packet.topic)) return 'not its own';
        return context.isBacklogged(session) ? 'backlog' : null;
      });
      return problem === null ? packet : null;
    },
  };
}

/** Null lets the packet through, perhaps into the sink; words close the connection. */
function passPublish(context: HookContext, client: Client | null, packet: WirePublish): string | null {
  const session = client === null ? undefined : context.sessionOf(client);
  if (client === null || session === undefined) return 'publish without an identity';
  const publication = publicationOf(packet);
  const verdict = judgePublish(session.identity, publication);
  if (verdict.type === 'close') return verdict.reason;
  // The will of a client that has gone was checked at CONNECT, and is owed whatever else it sent.
  if (client.closed) return null;
  // The look every second closes the session; until then nothing of it counts.
  const problem = context.problemOf(session);
  if (problem !== null) return problem;
  if (verdict.type === 'pass' && session.messages.take()) return null;
  const { code, detail } =
    verdict.type === 'drop'
      ? verdict
      : { code: 'RateLimited', detail: 'Too many messages from this surface; this one was dropped.' };
  context.complain(session.surface, `${code}: ${detail}`);
  context.dropped(code);
  // For a command this is its end.
  if (session.answers.take()) {
    const command = decode(commandMessage, publication.payload);
    const id = command.ok ? command.message.id : '';
    context.answer(session, { v: wireVersion, id, phase: 'denied', code, now: null, detail, guards: [] });
  }
  packet.topic = sinkTopic;
  packet.payload = Buffer.alloc(0);
  packet.retain = false;
  return null;
}

function guarded(check: () => string | null): string | null {
  try {
    return check();
  } catch (error) {
    return `check failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}
