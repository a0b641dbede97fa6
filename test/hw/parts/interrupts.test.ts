import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { LineHandlers } from '../../../daemon/hw/gpio/lines.ts';
import { InterruptLines } from '../../../daemon/hw/parts/interrupts.ts';
import { LineDouble } from './bench.ts';

/** A part on a line: what it was told. */
function listener(): LineHandlers & { readonly told: string[] } {
  const told: string[] = [];
  return {
    told,
    onEdges: (edges) => told.push(...edges.map(({ isHigh }) => (isHigh ? 'high' : 'low'))),
    onMissed: (_levels, lostCount) => told.push(`missed ${lostCount}`),
    onLost: (problem) => told.push(problem.message),
  };
}

function lines() {
  const opened: LineDouble[] = [];
  const problems: Error[] = [];
  const interrupts = new InterruptLines(async (request, handlers) => {
    const problem = problems.shift();
    if (problem !== undefined) throw problem;
    const line = new LineDouble(request, handlers);
    opened.push(line);
    return line;
  });
  return { interrupts, opened, problems };
}

t.test('a line is opened once and closed with the last part on it', async (t) => {
  const { interrupts, opened } = lines();
  const [one, two, other] = [listener(), listener(), listener()];
  const groups = await Promise.all([
    interrupts.open(17, one),
    interrupts.open(17, two),
    interrupts.open(4, other),
  ]);
  t.same(
    opened.map(({ request }) => request.lines),
    [[17], [4]],
  );
  opened[0]?.set(false);
  opened[0]?.handlers.onMissed([false], 3);
  t.same(one.told, ['low', 'missed 3']);
  t.same(two.told, one.told);
  t.same(other.told, []);
  t.same(groups[1]?.levels(), [false]);
  await groups[0]?.close();
  await groups[0]?.close();
  opened[0]?.set(true);
  t.equal(one.told.length, 2, 'who left is told nothing');
  t.equal(two.told.at(-1), 'high');
  t.notOk(opened[0]?.isClosed);
  await groups[1]?.close();
  t.ok(opened[0]?.isClosed);
  await interrupts.open(17, one);
  t.equal(opened.length, 3, 'opened anew');
});

t.test('a line that is lost or busy is opened anew by the next part', async (t) => {
  const { interrupts, opened, problems } = lines();
  const busy = new SurfacedError('E_HW_GPIO', 'line 17 is busy');
  problems.push(busy);
  const failed = await Promise.allSettled([interrupts.open(17, listener()), interrupts.open(17, listener())]);
  t.same(
    failed.map((one) => (one.status === 'rejected' ? one.reason : null)),
    [busy, busy],
  );
  const [one, two] = [listener(), listener()];
  const group = await interrupts.open(17, one);
  opened[0]?.handlers.onLost(new Error('gone'));
  t.same(one.told, ['gone']);
  await interrupts.open(17, two);
  t.equal(opened.length, 2);
  await group.close();
  t.notOk(opened[1]?.isClosed, 'who was on the lost one does not close the new one');
});
