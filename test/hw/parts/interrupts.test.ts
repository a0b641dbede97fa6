import pino from 'pino';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import { InterruptLines } from '../../../daemon/hw/parts/interrupts.ts';
import { ManualTimers } from '../i2c/bench.ts';
import { LineDouble } from './bench.ts';

function lines() {
  const timers = new ManualTimers();
  const opened: LineDouble[] = [];
  const logs: { level: number; line: number; failures: number; err: string }[] = [];
  const trouble: { problem: Error | null; asked: number } = { problem: null, asked: 0 };
  const interrupts = new InterruptLines({
    openLines: async (request, handlers) => {
      trouble.asked += 1;
      if (trouble.problem !== null) throw trouble.problem;
      const line = new LineDouble(request, handlers);
      opened.push(line);
      return line;
    },
    timers,
    random: () => 1,
    log: pino({ level: 'debug' }, { write: (line: string) => void logs.push(JSON.parse(line)) }),
  });
  /** Takes part in a line, and counts how often it was told. */
  const join = (line: number) => {
    const part = { told: 0 };
    const share = interrupts.join(line, () => {
      part.told += 1;
    });
    return Object.assign(part, share);
  };
  return { timers, opened, logs, trouble, join };
}

t.test('a line is opened once and closed with the last part on it', async (t) => {
  const { opened, join, timers } = lines();
  const [one, two, other] = [join(17), join(17), join(4)];
  t.notOk(one.isQuiet(), 'not had yet');
  await timers.pass(0);
  t.same(
    opened.map(({ request }) => request.lines),
    [[17], [4]],
  );
  t.ok(one.isQuiet() && two.isQuiet());
  one.told = two.told = other.told = 0;
  opened[0]?.set(false);
  opened[0]?.set(true);
  opened[0]?.handlers.onMissed([false], 3);
  t.same([one.told, two.told, other.told], [2, 2, 0], 'a rising edge tells nothing');
  await one.leave();
  await one.leave();
  opened[0]?.set(false);
  t.same([one.told, two.told], [2, 3], 'who left is told nothing');
  t.notOk(opened[0]?.isClosed || two.isQuiet());
  await two.leave();
  t.ok(opened[0]?.isClosed);
  join(17);
  await timers.pass(0);
  t.equal(opened.length, 3, 'opened anew');
});

t.test('a line that is lost gives back its descriptor and is asked for again', async (t) => {
  const { opened, join, timers, logs, trouble } = lines();
  const part = join(17);
  await timers.pass(10_000);
  part.told = 0;
  opened[0]?.handlers.onLost(new SurfacedError('E_HW_GPIO', 'chip gone'));
  t.equal(part.told, 1, 'polled at once');
  t.notOk(part.isQuiet());
  await timers.pass(0);
  t.ok(opened[0]?.isClosed);
  trouble.problem = new SurfacedError('E_HW_GPIO', 'no chip');
  await timers.pass(1000);
  t.equal(trouble.asked, 2);
  trouble.problem = null;
  await timers.pass(2000);
  t.equal(opened.length, 2);
  t.ok(part.isQuiet());
  t.equal(part.told, 2, 'it may have been low for long');
  t.match(
    logs.map(({ level, failures }) => [level, failures]),
    [
      [40, 1],
      [20, 2],
    ],
    'once aloud',
  );
  await part.leave();
  t.ok(opened[1]?.isClosed);
});

t.test(
  'a line that stays busy is asked for ever less often, and not at all when nobody wants it',
  async (t) => {
    const { join, timers, logs, trouble } = lines();
    trouble.problem = new SurfacedError('E_HW_GPIO', 'line 17 is busy');
    const part = join(17);
    await timers.pass(10 * 60_000);
    t.ok(trouble.asked > 20 && trouble.asked < 30, `${trouble.asked}`);
    t.equal(logs.filter(({ level }) => level === 40).length, 10, 'aloud once a minute');
    t.match(logs.at(-1), { line: 17, failures: trouble.asked, err: 'line 17 is busy' });
    await part.leave();
    const { asked } = trouble;
    await timers.pass(60_000);
    t.equal(trouble.asked, asked);
  },
);

t.test('parts that leave while their line is being opened leave nothing open', async (t) => {
  const { opened, join, timers } = lines();
  await join(17).leave();
  await timers.pass(0);
  t.ok(opened.every(({ isClosed }) => isClosed));
  const [one] = [join(17)];
  const left = one.leave();
  const two = join(17);
  await left;
  await timers.pass(0);
  t.ok(two.isQuiet());
});
