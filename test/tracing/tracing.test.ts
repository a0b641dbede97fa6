/** The follower of commands by itself: what surfaces may say of a trace, and what waits for a collector. */
import t, { type Test } from 'tap';
import { Command, endOf } from '../../daemon/bridge/gateway/command.ts';
import { systemClock } from '../../daemon/clock.ts';
import { silentLog } from '../../daemon/log.ts';
import { openTracing, type Tracing } from '../../daemon/tracing/tracing.ts';
import { Receiver } from './receiver.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
let seq = 0;

function commandOf(traceparent: string | null, issuedAt: number): Command {
  return new Command({
    surface: 'desk',
    message: {
      ...{ v: 1, id: `session-1-${++seq}`, slot: 0, want: 2, saw: 1, ttlMs: 5000, issuedAt },
      ...(traceparent !== null && { traceparent }),
    },
    binding: null,
    receivedAt: Date.now(),
    deadlineAt: 0,
    onAck: () => {},
    onEnd: () => {},
  });
}

async function open(t: Test, sampleRatio: number): Promise<{ tracing: Tracing; collector: Receiver }> {
  const collector = await Receiver.start(t);
  const tracing = await openTracing({
    ...{ endpoint: collector.endpoint, sampleRatio, site: 'site', gateway: 'gateway' },
    ...{ clock: systemClock, random: () => 0.5, log: silentLog },
  });
  t.teardown(() => tracing.close());
  return { tracing, collector };
}

function live(tracing: Tracing, command: Command): string | null {
  const id = tracing.begin(command);
  const end = endOf('denied', 'OutOfRange', '');
  tracing.observe({ type: 'command-ended', command, end, at: Date.now() });
  return id;
}

t.test('the touch has the ids that the surface gave it, whatever it says of the rest', async (t) => {
  const { tracing, collector } = await open(t, 1);
  const now = Date.now();
  t.equal(live(tracing, commandOf(`00-${traceId}-${spanId}-01`, now)), traceId);
  t.equal(live(tracing, commandOf(`00-${traceId}-${spanId}-00`, now)), null, 'less than the operator wants');
  const own = live(tracing, commandOf(`00-${traceId}-${'0'.repeat(16)}-01`, now));
  t.match(own, /^[0-9a-f]{32}$/);
  t.not(own, traceId, 'a trace of its own');
  const ahead = live(tracing, commandOf(null, now + 60_000)) ?? '';
  await tracing.close();
  t.match(collector.of(traceId).get('touch'), { spanId, parentSpanId: '' });
  t.equal(collector.of(traceId).get('MQTT transit')?.parentSpanId, spanId);
  const touch = collector.of(ahead).get('touch');
  t.ok(
    touch && touch.from <= touch.to && touch.to < now + 60_000,
    'a clock that is ahead makes no span of less than no time',
  );
});

t.test('a surface cannot ask for more traces than the operator wants', async (t) => {
  const { tracing, collector } = await open(t, 0.4);
  t.equal(live(tracing, commandOf(`00-${traceId}-${spanId}-01`, Date.now())), null);
  await tracing.close();
  t.same(collector.spans, []);
});

t.test('what waits for a collector has a bound', async (t) => {
  const { tracing, collector } = await open(t, 1);
  collector.status = 503;
  const many = 3000;
  for (let index = 0; index < many; index++) live(tracing, commandOf(null, Date.now()));
  collector.status = 200;
  await tracing.close();
  t.ok(collector.spans.length > 0, 'the rest is sent');
  t.ok(collector.spans.length <= 2048 + 256, `${collector.spans.length} of ${3 * many} spans were kept`);
});

t.test('requests that a command did not ask for are not its own', async (t) => {
  const { tracing, collector } = await open(t, 1);
  const command = commandOf(null, Date.now());
  const id = tracing.begin(command) ?? '';
  const request = (path: string): void =>
    tracing.observe({
      ...{ type: 'api-request', method: 'GET', path, status: 200 },
      ...{ startedAt: Date.now(), tookMs: 1 },
    });
  request('/readyz');
  let late = (): void => {};
  await tracing.within(command, async () => {
    request('/apis/apps/v1/namespaces/a/deployments/b/scale?x=1');
    // What is begun here and outlives the command, such as a watch.
    const later = new Promise<void>((resolve) => {
      late = resolve;
    });
    void later.then(() => request('/api/v1/pods?watch=1'));
  });
  command.end(endOf('denied', 'OutOfRange', ''));
  tracing.observe({ type: 'command-ended', command, end: endOf('denied', 'x', ''), at: Date.now() });
  late();
  await Promise.resolve();
  await tracing.close();
  t.same([...collector.of(id).keys()].toSorted(), ['GET scale', 'MQTT transit', 'admission', 'touch']);
});
