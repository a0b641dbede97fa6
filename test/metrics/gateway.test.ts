/** The metrics of a whole gateway, with a surface that turns a knob. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { gatewayTable } from '../../daemon/metrics/table.ts';
import { Whole } from './whole.ts';

/** Value of the first series whose line begins so; null: there is none. */
const valueIn = (text: string, series: string): number | null => {
  const line = text.split('\n').find((each) => each.startsWith(series));
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1));
};

t.test('what a command leaves behind', async (t) => {
  const whole = await Whole.start(t, {});
  const surface = await whole.surface(t);
  t.match(await surface.ask(5), { phase: 'converged' });
  t.match(await surface.ask(99), { phase: 'denied', code: 'OutOfRange' });
  // Records come when the disk has them.
  const recorded = 'surfaced_audit_records_total{kind="command"}';
  while (valueIn((await whole.get('/metrics')).text, recorded) !== 2)
    await new Promise((resolve) => setTimeout(resolve, 20));
  const { status, type, text } = await whole.get('/metrics');
  t.equal(status, 200);
  t.match(type, /^text\/plain; version=0\.0\.4/);
  const expected: Readonly<Record<string, number>> = {
    'surfaced_commands_total{phase="converged",code="none"}': 1,
    'surfaced_commands_total{phase="denied",code="OutOfRange"}': 1,
    'surfaced_surface_commands_total{surface="desk",phase="converged"}': 1,
    surfaced_command_touch_to_accepted_seconds_count: 1,
    surfaced_command_accepted_to_converged_seconds_count: 1,
    surfaced_commands_in_flight: 0,
    'surfaced_surfaces_online{trust="token",level="none"}': 1,
    'surfaced_surface_online{surface="desk"}': 1,
    'surfaced_slots{condition="unreachable"}': 0,
    surfaced_broker_connections: 1,
    'surfaced_broker_messages_total{direction="up",leaf="cmd"}': 2,
    'surfaced_broker_messages_total{direction="up",leaf="birth"}': 1,
    surfaced_kube_up: 1,
    'surfaced_kube_requests_total{verb="update",resource="scale",code="200"}': 1,
    'surfaced_kube_requests_total{verb="get",resource="scale",code="200"}': 1,
    'surfaced_certificates_issued_total{trust="token"}': 1,
    surfaced_audit_up: 1,
    surfaced_registry_surfaces: 1,
    surfaced_registry_problems: 0,
    'surfaced_broker_connections_refused_total{reason="expired"}': 0,
  };
  for (const [series, value] of Object.entries(expected)) t.equal(valueIn(text, series), value, series);
  t.ok((valueIn(text, 'surfaced_kube_watches ') ?? 0) >= 2, 'Deployments and Pods are watched');
  t.ok((valueIn(text, 'surfaced_broker_message_bytes_total{direction="down",leaf="slot"}') ?? 0) > 100);
  for (const certificate of ['ca', 'server', 'surface']) {
    const end = valueIn(text, `surfaced_certificate_expiry_timestamp_seconds{certificate="${certificate}"}`);
    t.ok((end ?? 0) > Date.now() / 1000, `${certificate} ends later`);
  }
  const names = [...text.matchAll(/^# TYPE (surfaced_\S+)/gm)].map(([, name]) => name);
  t.same(names.toSorted(), Object.keys(gatewayTable).toSorted(), 'the table, all of it and nothing else');
  t.notMatch(text, /cart|shop/, 'no names of Kubernetes objects');
  t.match(text, /^process_resident_memory_bytes /m);
  t.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
});

t.test('a surface without a place under the bound is added to the others', async (t) => {
  const whole = await Whole.start(t, { metrics: { surfaces: 0 } });
  const surface = await whole.surface(t);
  t.match(await surface.ask(4), { phase: 'converged' });
  const { text } = await whole.get('/metrics');
  t.equal(valueIn(text, 'surfaced_surface_commands_total{surface="other",phase="converged"}'), 1);
  t.notMatch(text, /desk/);
});

t.test('probes: one bad file is to be seen to, and unplugs nobody', async (t) => {
  const whole = await Whole.start(t, {});
  t.match(await whole.get('/livez'), { status: 200 });
  t.match(await whole.get('/readyz'), { status: 200 });
  t.match(await whole.get('/healthz'), { status: 200 });
  await writeFile(path.join(whole.folder, 'surfaces', 'bad.yaml'), 'kind: [');
  while ((await whole.get('/healthz')).status === 200)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(await whole.get('/healthz'), { status: 503, text: /bad\.yaml/ });
  t.match(await whole.get('/readyz'), { status: 200 });
  t.match(await whole.get('/livez'), { status: 200 });
  t.equal(valueIn((await whole.get('/metrics')).text, 'surfaced_registry_problems'), 1);
});
