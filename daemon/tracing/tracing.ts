/**
 * A trace of each command, from the touch to its end. The first span is the touch: it begins on the surface's clock, and
 * has the ids that the surface gave it, because the gateway writes it down for the surface, which reaches no collector.
 * Below it: the way over MQTT, admission, each request to the API server, and the time until the target has converged.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Command } from '../bridge/gateway/command.ts';
import type { BridgeEvent, CommandTracer } from '../bridge/observer.ts';
import { parseTraceparent } from '../bridge/wire/traceparent.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { version } from '../version.ts';
import { createProvider, type SpanCounts } from './exporter.ts';

/** What has not been sent by then is lost when the gateway stops, milliseconds. */
const farewellMs = 1000;
/** Requests of one command that have spans; a command that is repeated for ever has no more. */
const mostRequests = 64;

/** Follows the commands of one gateway. */
export interface Tracing extends CommandTracer {
  observe(event: BridgeEvent): void;
  counts(): SpanCounts;
  close(): Promise<void>;
}

/** One command that is traced. */
interface Traced {
  readonly touch: Span;
  readonly below: Context;
  /** When it began to be worked on, Unix milliseconds; null: not yet. */
  admittedAt: number | null;
  acceptedAt: number | null;
  requests: number;
}

/** @param options.random 0 up to 1, to draw which commands are traced */
export async function openTracing(options: {
  readonly endpoint: string;
  readonly sampleRatio: number;
  readonly site: string;
  readonly gateway: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}): Promise<Tracing> {
  const { sampleRatio, clock, random, log } = options;
  const { provider, ids, counts } = createProvider(options);
  const tracer = provider.getTracer('surfaced', version);
  const traced = new WeakMap<Command, Traced>();
  /** The command that something is done for; what outlives it holds no more than this. */
  const current = new AsyncLocalStorage<{ trace: Traced | null }>();

  const child = (of: Traced, name: string, from: number, to: number, kind = SpanKind.INTERNAL): Span => {
    const span = tracer.startSpan(name, { startTime: from, kind }, of.below);
    // A clock that was set back in between would make spans of less than no time.
    span.end(Math.max(from, to));
    return span;
  };

  const begin = (command: Command): string | null => {
    const { message, receivedAt, surface, binding } = command;
    const parent = parseTraceparent(message.traceparent);
    // A surface may ask for less than the operator wants, never for more.
    if (parent?.isSampled === false || random() >= sampleRatio) return null;
    const target = binding?.target;
    ids.preset = parent;
    const touch = tracer.startSpan(
      'touch',
      {
        root: true,
        kind: SpanKind.PRODUCER,
        startTime: Math.min(message.issuedAt, receivedAt),
        attributes: {
          'surfaced.surface': surface,
          'surfaced.command.id': message.id,
          'surfaced.slot': message.slot,
          'surfaced.want': message.want,
          'surfaced.saw': message.saw,
          ...(target && {
            'surfaced.target.kind': target.kind,
            'k8s.namespace.name': target.namespace,
            'surfaced.target.name': target.name,
          }),
        },
      },
      context.active(),
    );
    ids.preset = null;
    const below = trace.setSpan(context.active(), touch);
    const known: Traced = { touch, below, admittedAt: null, acceptedAt: null, requests: 0 };
    traced.set(command, known);
    child(known, 'MQTT transit', Math.min(message.issuedAt, receivedAt), receivedAt, SpanKind.CONSUMER);
    return touch.spanContext().traceId;
  };

  const within = async <T>(command: Command, work: () => Promise<T>): Promise<T> => {
    const known = traced.get(command);
    if (known === undefined) return work();
    if (command.stage !== 'ended') {
      known.admittedAt = clock.now();
      child(known, 'admission', command.receivedAt, known.admittedAt);
    }
    const place = { trace: known as Traced | null };
    command.signal.addEventListener('abort', () => {
      place.trace = null;
    });
    return current.run(place, work);
  };

  const requested = (event: Extract<BridgeEvent, { type: 'api-request' }>): void => {
    const known = current.getStore()?.trace;
    if (!known || known.requests >= mostRequests) return;
    known.requests += 1;
    const { method, path, status, startedAt, tookMs } = event;
    const [plain = ''] = path.split('?', 1);
    const span = tracer.startSpan(
      plain.endsWith('/scale') ? `${method} scale` : `${method} API`,
      {
        kind: SpanKind.CLIENT,
        startTime: startedAt,
        attributes: {
          'http.request.method': method,
          'url.path': plain,
          ...(status !== 0 && { 'http.response.status_code': status }),
        },
      },
      known.below,
    );
    if (status === 0 || status >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(startedAt + tookMs);
  };

  const ended = ({ command, end, at }: Extract<BridgeEvent, { type: 'command-ended' }>): void => {
    const known = traced.get(command);
    if (known === undefined) return;
    traced.delete(command);
    if (known.admittedAt === null) child(known, 'admission', command.receivedAt, at);
    if (known.acceptedAt !== null) child(known, 'follow until converged', known.acceptedAt, at);
    const { touch } = known;
    touch.setAttributes({ 'surfaced.command.phase': end.phase, 'surfaced.command.code': end.code });
    if (end.phase === 'blocked' || end.phase === 'expired')
      touch.setStatus({ code: SpanStatusCode.ERROR, message: end.detail.slice(0, 256) });
    touch.end(Math.max(at, command.receivedAt));
  };

  return {
    begin,
    within,
    observe: (event) => {
      if (event.type === 'api-request') requested(event);
      else if (event.type === 'command-ended') ended(event);
      else if (event.type === 'command-accepted') {
        const known = traced.get(event.command);
        if (known !== undefined) known.acceptedAt = event.at;
      }
    },
    counts,
    close: async () => {
      const late = new Promise<void>((resolve) => setTimeout(resolve, farewellMs).unref());
      const closed = provider.shutdown().catch((error: unknown) => {
        log.warn({ err: error }, 'the last spans are lost');
      });
      await Promise.race([closed, late]);
    },
  };
}
