/** Fields of the Gateway and Device files about metrics and traces. */
import { z } from 'zod';

/** What a gateway serves to Prometheus. */
export const gatewayMetricsSchema = z
  .strictObject({
    surfaces: z
      .int()
      .min(0)
      .max(5000)
      .default(200)
      .describe('So many surfaces have series with their name; those of the others are added up.'),
  })
  .prefault({})
  .describe('Prometheus metrics, at /metrics of the health endpoint; docs/metrics.md.');

/** Traces of commands. */
export const tracingSchema = z
  .strictObject({
    endpoint: z
      .url({ protocol: /^https?$/ })
      .describe('OpenTelemetry collector, OTLP over HTTP, e.g. http://collector:4318.'),
    sampleRatio: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe('Part of the commands that are traced, 0 to 1.'),
  })
  .optional()
  .describe('OpenTelemetry traces from touch to converged; left out: none. docs/metrics.md.');

/** A surface serves metrics only when it is told to: they cost memory. */
export const deviceMetricsSchema = z
  .strictObject({})
  .optional()
  .describe('`metrics: {}` adds /metrics for Prometheus to the health endpoint; costs a few megabytes.');
