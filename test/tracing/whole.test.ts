/** Traces of a whole gateway: what a collector gets of a touch, and what becomes of commands when there is none. */
import pino from 'pino';
import t from 'tap';
import { Whole } from '../metrics/whole.ts';
import { Receiver } from './receiver.ts';

interface Line {
  readonly msg: string;
  readonly id?: string;
  readonly traceId?: string;
}

t.test('a touch, from the surface to its end', async (t) => {
  const collector = await Receiver.start(t);
  const lines: Line[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line) as Line) });
  const whole = await Whole.start(t, { tracing: { endpoint: collector.endpoint } }, log);
  const surface = await whole.surface(t);
  const touchedAt = Date.now();
  t.match(await surface.ask(5), { phase: 'converged' });
  t.match(await surface.ask(99), { phase: 'denied' });
  const ends = lines.filter(({ msg }) => msg === 'command ended');
  t.equal(ends.length, 2);
  const [scaled, denied] = ends;
  await collector.until(() => collector.spans.filter(({ name }) => name === 'touch').length === 2);
  t.same([...collector.paths], ['/v1/traces']);

  const spans = collector.of(scaled?.traceId ?? '');
  const touch = spans.get('touch');
  t.match(touch, {
    parentSpanId: '',
    isError: false,
    attributes: {
      'surfaced.surface': 'desk',
      'surfaced.command.id': scaled?.id,
      'surfaced.command.phase': 'converged',
      'surfaced.want': 5,
      'surfaced.target.name': 'cart',
    },
  });
  const order = ['MQTT transit', 'admission', 'GET scale', 'PUT scale', 'follow until converged'];
  t.same([...spans.keys()].toSorted(), ['touch', ...order].toSorted());
  for (const name of order) {
    const span = spans.get(name);
    t.equal(span?.parentSpanId, touch?.spanId, `${name} is below the touch`);
    t.ok(span && touch && span.from >= touch.from && span.to <= touch.to + 1, `${name} is within it`);
  }
  for (const [index, name] of order.slice(1).entries())
    t.ok((spans.get(name)?.from ?? 0) >= (spans.get(order[index] ?? '')?.from ?? 0), `${name} in its turn`);
  t.ok(touch && touch.from >= touchedAt - 2000 && touch.from <= touch.to, "begins by the surface's clock");
  t.match(spans.get('PUT scale')?.attributes, { 'http.response.status_code': 200 });

  const refused = collector.of(denied?.traceId ?? '');
  t.same([...refused.keys()].toSorted(), ['MQTT transit', 'admission', 'touch']);
});

t.test('without a collector spans are lost, commands are not', async (t) => {
  const collector = await Receiver.start(t);
  collector.status = 503;
  const lines: Line[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(JSON.parse(line) as Line) });
  const whole = await Whole.start(t, { tracing: { endpoint: collector.endpoint } }, log);
  const surface = await whole.surface(t);
  for (const want of [4, 5, 6]) t.match(await surface.ask(want, { saw: want - 1 }), { phase: 'converged' });
  await collector.until(() => collector.requests > 0);
  const lost = async (): Promise<number> =>
    Number(/surfaced_trace_spans_total\{result="lost"\} (\d+)/.exec((await whole.get('/metrics')).text)?.[1]);
  while (!((await lost()) > 0)) await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(lines.filter(({ msg }) => msg === 'spans are lost: no collector').length, 1, 'told once');
});

t.test('nothing is traced, and surfaces are not asked for traces, unless it is wanted', async (t) => {
  const lines: Line[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line) as Line) });
  const whole = await Whole.start(t, {}, log);
  const surface = await whole.surface(t);
  t.match(await surface.ask(4), { phase: 'converged' });
  t.match(
    lines.find(({ msg }) => msg === 'command ended'),
    { id: /-1$/, traceId: undefined },
  );

  const collector = await Receiver.start(t);
  const rarely = await Whole.start(t, { tracing: { endpoint: collector.endpoint, sampleRatio: 0 } }, log);
  t.match(await (await rarely.surface(t)).ask(4), { phase: 'converged' });
  t.match(
    lines.findLast(({ msg }) => msg === 'command ended'),
    { traceId: /^[0-9a-f]{32}$/ },
  );
  await rarely.gateway.stop();
  t.same(collector.spans, []);
});
