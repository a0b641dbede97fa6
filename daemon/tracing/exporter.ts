/** Spans on their way to a collector: in a queue with an end, and thrown away when nobody takes them. */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  RandomIdGenerator,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { TraceParent } from '../bridge/wire/traceparent.ts';
import type { Log } from '../log.ts';
import { version } from '../version.ts';

/** Spans that wait at most, about 1 kB each; what comes on top is lost. */
const mostWaiting = 2048;
/** Spans in one request. */
const mostAtOnce = 256;
/** Spans wait so long for others, milliseconds. */
const gatherMs = 1000;
/** A collector that has not answered after so long is not waited for. */
const exportMs = 5000;

/** Spans that left the queue, since the start. */
export interface SpanCounts {
  readonly exported: number;
  readonly lost: number;
}

/** Random ids, but for one span whose ids a surface has chosen. */
export class Ids implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  /** Ids of the span that is started next; null: random ones. */
  preset: Pick<TraceParent, 'traceId' | 'spanId'> | null = null;

  generateTraceId(): string {
    return this.preset?.traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.preset?.spanId ?? this.#random.generateSpanId();
  }
}

/** An exporter that counts, and tells once when a collector goes away and once when it is back. */
function watched(exporter: SpanExporter, endpoint: string, log: Log) {
  const counts = { exported: 0, lost: 0 };
  let isAway = false;
  const watching: SpanExporter = {
    export: (spans: ReadableSpan[], done) =>
      exporter.export(spans, (result) => {
        // 0: ExportResultCode.SUCCESS.
        const isLost = result.code !== 0;
        counts[isLost ? 'lost' : 'exported'] += spans.length;
        if (isLost && !isAway) log.warn({ endpoint, err: result.error }, 'spans are lost: no collector');
        if (!isLost && isAway) log.info({ endpoint, lost: counts.lost }, 'the collector takes spans again');
        isAway = isLost;
        done(result);
      }),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
  return { watching, counts };
}

/** Where spans of OTLP over HTTP go: a bare address is that of the collector. */
export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (url.pathname === '/' || url.pathname === '') url.pathname = '/v1/traces';
  return url.href;
}

/** Makes the provider of spans of one gateway. */
export function createProvider(options: {
  readonly endpoint: string;
  readonly site: string;
  readonly gateway: string;
  readonly log: Log;
}) {
  const { site, gateway, log } = options;
  const endpoint = tracesUrl(options.endpoint);
  const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: exportMs });
  const { watching, counts } = watched(exporter, endpoint, log);
  const ids = new Ids();
  const provider = new TracerProvider({
    sampler: new AlwaysOnSampler(),
    idGenerator: ids,
    resource: resourceFromAttributes({
      'service.name': 'surfaced-gateway',
      'service.version': version,
      'service.namespace': site,
      'service.instance.id': gateway,
    }),
    spanLimits: { attributeValueLengthLimit: 512, attributeCountLimit: 32 },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: watching,
        maxQueueSize: mostWaiting,
        maxExportBatchSize: mostAtOnce,
        scheduledDelayMillis: gatherMs,
        exportTimeoutMillis: exportMs,
      }),
    ],
  });
  return { provider, ids, counts: (): SpanCounts => ({ ...counts }) };
}
