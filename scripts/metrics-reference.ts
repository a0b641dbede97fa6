/** Writes docs/metrics.md from the tables of metrics. */
import { deviceTable, gatewayTable, type MetricTable } from '../daemon/metrics/table.ts';

function rows(table: MetricTable): string {
  return Object.entries(table)
    .map(([name, { type, help, labels }]) => {
      const values = Object.entries(labels).map(([label, of]) => `\`${label}\`: ${of}`);
      return `| \`${name}\` | ${type} | ${help} | ${values.join('; ')} |`;
    })
    .join('\n');
}

/** The whole of docs/metrics.md. */
export const metricsReference = (): string => `# Metrics, traces, health

<!-- Made by \`npm run schemas\` from daemon/metrics/table.ts; changes here are lost. -->

With \`health.listen\` in its file a gateway serves, over plain HTTP:

| path | 200 when | for |
|---|---|---|
| \`/livez\` | the event loop turns | the liveness probe |
| \`/readyz\` | everything is started, the API server has answered once since, and nobody is stopping it | the readiness probe |
| \`/healthz\` | all parts are well, each with a sentence | people and \`surfaced\`'s own checks |
| \`/metrics\` | always | Prometheus |

What does not take a gateway out of service: an API server that goes away later (surfaces are told, and another replica
would not reach it either), a file of the registry that cannot be read, a binding that does not fit its panel, a reference
set or root with a fault. All of these are in \`/healthz\`, in the metrics and in the alerts.

The endpoint has no log-in. It tells names of surfaces and nothing secret; keep it inside, as \`deploy/base\` does with its
NetworkPolicy.

A surface serves the same paths with \`health.listen\` in its file, and \`/metrics\` only with \`metrics: {}\`: the library is
not loaded otherwise. \`/readyz\` of a surface is 200 as soon as it runs.

Every label has a bound, and none is ever the name of a Kubernetes object. Names of surfaces are there for as many surfaces
as \`metrics.surfaces\` says, 200 unless you change it; the others are added up as \`other\`. Beside these metrics there are
those of the process (\`process_*\`, \`nodejs_*\`) as prom-client makes them.

Dashboard and alerts are in \`deploy/monitoring\`, a kustomize component for the Prometheus operator and Grafana's sidecar:
add \`components: [../../monitoring]\` to your overlay. What to do when one of the alerts comes: [operate.md](operate.md).

## Gateway

| metric | type | what it is | labels |
|---|---|---|---|
${rows(gatewayTable)}

## Surface

| metric | type | what it is | labels |
|---|---|---|---|
${rows(deviceTable)}

## Traces

With \`tracing: { endpoint: http://collector:4318 }\` in the Gateway file, a command is one trace. Its first span is the
touch: it begins when the operator asked, by the surface's clock, and ends with the command. Below it are \`MQTT transit\`,
\`admission\` (checks, and waiting behind other commands for the same target), a span for each request to the API server
(\`GET scale\`, \`PUT scale\`), and \`follow until converged\`. \`sampleRatio\` is the part of the commands that is traced.

A gateway that traces tells its surfaces so, and they give each command a W3C \`traceparent\` from then on; the gateway
writes the touch down for the surface with the ids in it. Surfaces and gateways of before know nothing of that and work
together as ever. A \`traceparent\` that is not well-formed is as good as none, and no surface can ask for more traces than
\`sampleRatio\` lets through.

Spans wait in a queue of 2048. When the collector is away they are lost and counted (\`surfaced_trace_spans_total\`);
commands never wait for them. Headers that a collector wants come from the environment, \`OTEL_EXPORTER_OTLP_HEADERS\`. On
Kubernetes the way to the collector needs a NetworkPolicy of your own: \`deploy/base\` lets out only to names and the API
server.

Log lines about a command have its \`id\`, and \`traceId\` when it has a trace.
`;
