/** The metrics of one role, made from its table; each role has a registry of its own, nothing is global. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { MetricTable } from './table.ts';

/** Values of the labels of one series. */
export type Labels = Readonly<Record<string, string>>;

/** One series of a gauge. */
export type Sample = readonly [labels: Labels, value: number];

type Named<Table extends MetricTable, Type> = {
  [Name in keyof Table & string]: Table[Name]['type'] extends Type ? Name : never;
}[keyof Table & string];

/** How often the event loop's lag is sampled, milliseconds: each look wakes the processor of a Pi. */
const lagSampleMs = 200;

/** All metrics of a table. */
export class Metrics<Table extends MetricTable> {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #sources = new Map<string, () => Iterable<Sample>>();

  constructor(table: Table) {
    for (const [name, { type, help, labels, buckets }] of Object.entries(table)) {
      const common = { name, help, labelNames: Object.keys(labels), registers: [this.#registry] };
      if (type === 'counter')
        this.#counters.set(name, new Counter({ ...common, collect: () => this.#collect(name) }));
      else if (type === 'histogram')
        this.#histograms.set(name, new Histogram({ ...common, ...(buckets && { buckets: [...buckets] }) }));
      else {
        const sources = this.#sources;
        new Gauge({
          ...common,
          collect() {
            this.reset();
            for (const [series, value] of sources.get(name)?.() ?? []) this.set(series, value);
          },
        });
      }
    }
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: lagSampleMs });
  }

  /** Adds to a counter. */
  add(name: Named<Table, 'counter'>, labels: Labels, count = 1): void {
    this.#counters.get(name)?.inc(labels, count);
  }

  /** One observation of a histogram, in the unit of its name. */
  observe(name: Named<Table, 'histogram'>, labels: Labels, value: number): void {
    this.#histograms.get(name)?.observe(labels, value);
  }

  /** Says where a gauge gets its series when it is asked for; or a counter that somebody else counts. */
  read(name: Named<Table, 'gauge' | 'counter'>, source: () => Iterable<Sample>): void {
    this.#sources.set(name, source);
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /** Everything in Prometheus' text format. Rejects when a source fails: half the truth would look like all of it. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #collect(name: string): void {
    const source = this.#sources.get(name);
    const counter = this.#counters.get(name);
    if (source === undefined || counter === undefined) return;
    counter.reset();
    for (const [series, value] of source()) counter.inc(series, value);
  }
}
