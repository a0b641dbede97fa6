/** A collector in small: takes OTLP over HTTP as JSON, and keeps the spans. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export interface Received {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** Unix milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly isError: boolean;
}

interface Wire {
  resourceSpans: {
    scopeSpans: {
      spans: {
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        name: string;
        startTimeUnixNano: string;
        endTimeUnixNano: string;
        attributes: { key: string; value: { stringValue?: string; intValue?: number | string } }[];
        status?: { code?: number };
      }[];
    }[];
  }[];
}

export class Receiver {
  readonly spans: Received[] = [];
  readonly paths = new Set<string | undefined>();
  /** Status that requests are answered with. */
  status = 200;
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();
  requests = 0;

  constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.requests += 1;
        this.paths.add(request.url);
        if (this.status === 200) this.#take(JSON.parse(Buffer.concat(chunks).toString()) as Wire);
        response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
        for (const look of [...this.#waiting]) look();
      });
    });
  }

  static async start(t: Test): Promise<Receiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    });
    return new Receiver(server);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when the condition holds; it is looked at after each request. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Spans of one command, by name. */
  of(traceId: string): ReadonlyMap<string, Received> {
    return new Map(this.spans.filter((span) => span.traceId === traceId).map((span) => [span.name, span]));
  }

  #take({ resourceSpans }: Wire): void {
    for (const span of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans))
      this.spans.push({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        name: span.name,
        from: Number(BigInt(span.startTimeUnixNano) / 1_000_000n),
        to: Number(BigInt(span.endTimeUnixNano) / 1_000_000n),
        attributes: Object.fromEntries(
          span.attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]),
        ),
        isError: span.status?.code === 2,
      });
  }
}
