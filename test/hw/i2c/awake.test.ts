import { readFile } from 'node:fs/promises';
import t from 'tap';
import { afterAwake } from '../../../daemon/hw/i2c/awake.ts';
import { I2cOwner } from '../../../daemon/hw/i2c/owner.ts';
import { systemTimers } from '../../../daemon/hw/panel.ts';
import { silentLog } from '../../../daemon/log.ts';
import { ManualTimers } from './bench.ts';

t.test('a wait ends once, at its time, or not at all', async (t) => {
  const timers = new ManualTimers();
  const ends: string[] = [];
  afterAwake(timers, 200, () => ends.push('first'));
  const cancel = afterAwake(timers, 200, () => ends.push('second'));
  await timers.pass(120);
  cancel();
  await timers.pass(79);
  t.same(ends, []);
  await timers.pass(1);
  t.same(ends, ['first']);
  await timers.pass(1000);
  t.same(ends, ['first']);
  t.same(timers.delays, []);
});

t.test('a process that stood still does not take its bus for stuck', async (t) => {
  const losses: Error[] = [];
  const owner = new I2cOwner({
    bus: 1,
    open: async () => ({
      // Ends on a thread of libuv, as a real transfer does.
      transfer: async () => (await readFile('/proc/self/stat')).subarray(0, 1),
      close: async () => {},
    }),
    neighbours: new Set(),
    timers: systemTimers,
    random: () => 0,
    log: silentLog,
    transferTimeoutMs: 200,
    onOpened: () => {},
    onLost: (problem) => losses.push(problem),
  });
  await owner.start();
  t.teardown(() => owner.close());
  const reading = owner.device(0x48).read('input', 1);
  const until = performance.now() + 400;
  while (performance.now() < until);
  t.equal((await reading).length, 1);
  t.same(losses, []);
});
