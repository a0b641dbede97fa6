/**
 * The gateway loop: acts on commands, observes targets, tells each surface what is. It speaks through a bus and
 * a cluster and knows neither MQTT nor HTTP.
 */
import type { Trust } from '../../attest/types.ts';
import type { Clock } from '../../clock.ts';
import type { BindingConfig, GatewayConfig } from '../../config/schema.ts';
import type { Log } from '../../log.ts';
import type { SlotCondition } from '../../surface/types.ts';
import type { Cluster } from '../kube/types.ts';
import { type CommandTracer, type Observe, unobserved, untraced } from '../observer.ts';
import type { Registry } from '../registry/types.ts';
import type { Fleet } from '../rollout/fleet.ts';
import type { BusMessage, GatewayBus } from '../wire/bus.ts';
import {
  type AckMessage,
  type BirthMessage,
  birthMessage,
  decode,
  encode,
  statusMessage,
  teleMessage,
} from '../wire/messages.ts';
import { ackTopic, gatewayStatusTopic, parseTopic } from '../wire/topics.ts';
import { Beat, newSession } from './beat.ts';
import type { CommandRecord, End } from './command.ts';
import { type CommandSlot, Commands } from './commands.ts';
import { type Ownership, ownsAll } from './ownership.ts';
import { SurfaceSession } from './session.ts';
import { bindingKey } from './slots.ts';
import { systemTimers, type Timers } from './timers.ts';
import type { BlockedNote, SlotBody } from './view.ts';

export interface RelayOptions {
  readonly bus: GatewayBus;
  readonly cluster: Cluster;
  readonly registry: Registry;
  readonly config: GatewayConfig;
  /** How a surface that is online has proved itself. */
  readonly trustOf: (surface: string) => Trust;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1, for jitter and the name of this session. */
  readonly random: () => number;
  /** Left out: the machine's own. */
  readonly timers?: Timers;
  /** What hears which surfaces are there and how they stand to updates; null: nothing does. */
  readonly fleet: Pick<Fleet, 'born' | 'went' | 'told'> | null;
  /** Called once for every command, with its end and the id of its trace, if it has one. */
  readonly record: (entry: CommandRecord, traceId: string | null) => void;
  /** Left out: it acts for all surfaces. */
  readonly ownership?: Ownership;
  /** Names this process of the gateway; left out: by chance. */
  readonly session?: string;
  /** Left out: nobody watches. */
  readonly observe?: Observe;
  /** Left out: nobody follows commands, and surfaces are not asked for traces. */
  readonly tracer?: CommandTracer;
}

/** One surface as status pages show it. */
export interface SurfaceStatus {
  readonly name: string;
  readonly isOnline: boolean;
  /** Null until it has been online. */
  readonly model: string | null;
  readonly problems: readonly string[];
}

/** One surface with everything that the gateway knows of its panel. */
export interface SurfaceView extends SurfaceStatus {
  /** Null until it has been online; its own word. */
  readonly firmware: string | null;
  /** Controls of its panel; none until it has been online. */
  readonly controls: BirthMessage['controls'];
  /** What each binding shows, also while the surface is away. */
  readonly slots: readonly {
    readonly slot: number;
    readonly binding: BindingConfig;
    readonly body: SlotBody;
  }[];
}

/** What the gateway loop is doing now. */
export interface RelayStatus {
  readonly surfacesOnline: number;
  readonly surfaces: readonly SurfaceStatus[];
  readonly apiHealthy: boolean;
  readonly apiDetail: string;
  readonly commandsInFlight: number;
  /** Everything that an operator should see to, one sentence each. */
  readonly problems: readonly string[];
}

export interface Relay {
  status(): RelayStatus;
  /** Null: there is no such surface. */
  view(surface: string): SurfaceView | null;
  /** How many bindings displays show in each condition. */
  shown(): ReadonlyMap<SlotCondition['state'], number>;
  /** Resolves with the next heartbeat that it has given to the broker: every few seconds, whatever the network does. */
  pulse(): Promise<void>;
  /**
   * Surfaces may have come to this gateway or left it: serves those that came. Resolves when what was under way for those
   * that left has its end.
   */
  reconsider(): Promise<void>;
  /** Ends all commands, says goodbye and stops; bus, cluster and registry stay the caller's. */
  close(): Promise<void>;
}

/** Name of the gateway's writes in managedFields. */
export const fieldManager = 'surfaced';

/** The bus may be gone on close; it is not waited for longer than this. */
const goodbyeMs = 1000;

/** Starts the loop; it runs until it is closed. */
export function startRelay(options: RelayOptions): Relay {
  const { bus, cluster, registry, config, trustOf, clock, log, random, fleet, record } = options;
  const { timers = systemTimers, observe = unobserved, tracer = untraced, ownership = ownsAll } = options;
  const { session: ownSession = newSession(random) } = options;
  const { site } = config;
  const sessions = new Map<string, SurfaceSession>();
  const notes = new Map<string, BlockedNote>();
  const sending = new Set<Promise<void>>();
  let isClosed = false;

  const publish = (topic: string, payload: Uint8Array, isRetained: boolean): void => {
    const sent = bus
      .publish(topic, payload, { qos: 1, isRetained })
      .catch((error: unknown) => log.warn({ err: error, topic }, 'message could not be sent'))
      .finally(() => sending.delete(sent));
    sending.add(sent);
  };
  const sendAck = (surface: string, ack: AckMessage): void =>
    publish(ackTopic(site, surface), encode(ack), false);

  const slotOf = (surface: string, slot: number): CommandSlot | null => {
    const session = sessions.get(surface);
    const feed = session?.feed(slot);
    if (!session || !feed) return null;
    const since = session.isHearing ? Number.POSITIVE_INFINITY : feed.slot.since;
    return { binding: feed.slot.binding, since, snapshot: () => feed.snapshot() };
  };
  /** A status that does not tell why a command was blocked is shown with the reason that the command found. */
  const note = (binding: BindingConfig, said: Omit<BlockedNote, 'ready'> | null): void => {
    const key = bindingKey(binding);
    const feeds = [...sessions.values()]
      .flatMap((session) => [...session.feeds])
      .filter((feed) => bindingKey(feed.slot.binding) === key);
    if (said === null) notes.delete(key);
    else notes.set(key, { ...said, ready: feeds[0]?.snapshot().target?.ready ?? 0 });
    for (const feed of feeds) feed.changed();
  };
  const noteEnd = (binding: BindingConfig, { phase, code, detail, now }: End): void => {
    if (phase !== 'blocked' || now === null) return;
    note(binding, { state: 'blocked', desired: now, reason: code, message: detail });
  };
  const commands = new Commands({
    cluster,
    registry,
    config,
    clock,
    timers,
    random,
    log,
    ownership,
    fieldManager,
    slotOf,
    sendAck,
    record,
    onEnd: noteEnd,
    note,
    observe,
    tracer,
  });
  const beat = new Beat({
    cluster,
    clock,
    timers,
    session: ownSession,
    publish: (payload) => publish(gatewayStatusTopic(site, config.name), payload, true),
  });

  const configure = (name: string): void => {
    const surface = registry.get(name);
    const session = sessions.get(name);
    if (!surface) {
      session?.close(true);
      sessions.delete(name);
      return;
    }
    const known = session ?? new SurfaceSession(name, sessionTools);
    sessions.set(name, known);
    known.reconsider();
    known.configure(surface);
  };
  const sessionTools = {
    site,
    cluster,
    clock,
    timers,
    log,
    trustOf,
    ownership,
    gateway: { name: config.name, session: ownSession },
    publish,
    isTracing: options.tracer !== undefined,
    noteOf: ({ binding }: { binding: BindingConfig }) => notes.get(bindingKey(binding)) ?? null,
    forgetNote: ({ binding }: { binding: BindingConfig }) => void notes.delete(bindingKey(binding)),
    onPresence: (surface: string, birth: BirthMessage | null) => {
      if (birth === null) fleet?.went(surface);
      else fleet?.born(surface, birth.firmware);
    },
  };

  const take = ({ topic, payload, isRetained }: BusMessage): void => {
    const address = parseTopic(topic);
    if (address?.direction !== 'up' || address.site !== site) return;
    const { surface, leaf } = address;
    if (leaf === 'cmd') {
      commands.take(surface, payload, isRetained);
      return;
    }
    const session = sessions.get(surface);
    // An empty retained message is one that was taken away; certificates are for the bus.
    if (!session || payload.length === 0 || leaf === 'certificate') return;
    if (leaf === 'tele') {
      const tele = decode(teleMessage, payload);
      // That of a newer surface may hold more, and comes again and again: it is not worth a warning.
      if (!tele.ok) log.debug({ surface, leaf, problem: tele.problem }, 'message is not readable');
      else if (tele.message.update) fleet?.told(surface, tele.message.update);
      return;
    }
    const read = leaf === 'birth' ? decode(birthMessage, payload) : decode(statusMessage, payload);
    if (!read.ok) {
      observe({ type: 'message-unreadable', leaf });
      log.warn({ surface, leaf, problem: read.problem }, 'message is not readable');
    } else if ('controls' in read.message) {
      // First: the slots that follow are newer.
      if (!isRetained) commands.remind(surface);
      session.born(read.message, isRetained);
      if (ownership.isMine(surface)) beat.welcome();
    } else session.status(read.message);
  };

  for (const { metadata } of registry.list()) configure(metadata.name);
  registry.onChange((names) => {
    if (!isClosed) for (const name of names) configure(name);
  });
  bus.onSession((surface, isConnected) => {
    if (!isClosed) sessions.get(surface)?.connection(isConnected);
  });
  bus.onMessage((message) => {
    if (isClosed) return;
    try {
      take(message);
    } catch (error) {
      log.error({ err: error, topic: message.topic }, 'message failed by a defect');
    }
  });

  const status = (): RelayStatus => {
    const surfaces = [...sessions.values()].map(({ name, isOnline, model, problems }) => ({
      name,
      isOnline,
      model,
      problems,
    }));
    const { isHealthy, detail } = cluster.health();
    return {
      surfacesOnline: surfaces.filter(({ isOnline }) => isOnline).length,
      surfaces,
      apiHealthy: isHealthy,
      apiDetail: detail,
      commandsInFlight: commands.inFlight,
      problems: [
        ...(isHealthy ? [] : [`API server: ${detail}`]),
        ...registry.problems().map(({ source, message }) => `${source}: ${message}`),
        ...surfaces.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`)),
      ],
    };
  };

  const view = (surface: string): SurfaceView | null => {
    const session = sessions.get(surface);
    if (session === undefined) return null;
    const { name, isOnline, model, problems, birth } = session;
    const slots = [...session.feeds].map((feed) => {
      const { slot, binding } = feed.slot;
      return { slot, binding, body: feed.shown() };
    });
    const controls = birth?.controls ?? [];
    return { name, isOnline, model, problems, firmware: birth?.firmware ?? null, controls, slots };
  };

  const shown = (): ReadonlyMap<SlotCondition['state'], number> => {
    const counts = new Map<SlotCondition['state'], number>();
    for (const session of sessions.values())
      for (const feed of session.feeds) {
        if (!feed.isLive) continue;
        const { state } = feed.shown().condition;
        counts.set(state, (counts.get(state) ?? 0) + 1);
      }
    return counts;
  };

  const reconsider = async (): Promise<void> => {
    if (isClosed) return;
    const came = [...sessions.values()].filter((session) => session.reconsider());
    if (came.length > 0) beat.welcome();
    await commands.release();
  };

  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    commands.close();
    beat.close();
    for (const session of sessions.values()) session.close(false);
    let cancel = (): void => {};
    const limit = new Promise<void>((resolve) => {
      cancel = timers.after(goodbyeMs, resolve);
    });
    await Promise.race([Promise.allSettled([...sending]), limit]);
    cancel();
  };

  return { status, view, shown, pulse: () => beat.next(), reconsider, close };
}
