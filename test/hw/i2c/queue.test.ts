import fc from 'fast-check';
import t from 'tap';
import type { Priority } from '../../../daemon/hw/i2c/bus.ts';
import { inputsBeforeFrame, TransferQueue } from '../../../daemon/hw/i2c/queue.ts';

interface Item {
  readonly priority: Priority;
  readonly serial: number;
}

t.test('each priority has its own bound', async (t) => {
  const queue = new TransferQueue<Item>();
  for (let serial = 0; serial < 256; serial += 1) t.ok(queue.push({ priority: 'frame', serial }));
  t.notOk(queue.push({ priority: 'frame', serial: 256 }), 'a flood of frames is refused');
  t.ok(queue.push({ priority: 'input', serial: 0 }), 'and keeps no input out');
  t.equal(queue.clear().length, 257);
  t.equal(queue.take(), null);
  t.end();
});

t.test('inputs first, in order; no frame is passed by more than its share', async () => {
  const step = fc.constantFrom<(Priority | 'take')[]>('input', 'frame', 'take', 'take');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600, size: 'max' }), fc.nat(4), (steps, inputsPerTake) => {
      const queue = new TransferQueue<Item>();
      const waiting: Record<Priority, number[]> = { input: [], frame: [] };
      let serial = 0;
      let passed = 0;
      const push = (priority: Priority) => {
        if (queue.push({ priority, serial })) waiting[priority].push(serial);
        serial += 1;
      };
      for (const one of steps) {
        if (one !== 'take') {
          push(one);
          continue;
        }
        for (let count = 0; count < inputsPerTake; count += 1) push('input');
        const isFrameWaiting = waiting.frame.length > 0;
        const isInputWaiting = waiting.input.length > 0;
        const taken = queue.take();
        if (taken === null) {
          if (isFrameWaiting || isInputWaiting) throw new Error('something waited');
          continue;
        }
        if (waiting[taken.priority].shift() !== taken.serial) throw new Error('out of order');
        if (taken.priority === 'frame' && isInputWaiting && passed < inputsBeforeFrame) {
          throw new Error('an input waits for a frame');
        }
        passed = taken.priority === 'input' && isFrameWaiting ? passed + 1 : 0;
        if (passed > inputsBeforeFrame) throw new Error('a frame starves');
      }
    }),
  );
});
