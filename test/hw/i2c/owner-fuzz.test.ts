import fc from 'fast-check';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { Priority } from '../../../daemon/hw/i2c/bus.ts';
import { bench, fate, usual } from './bench.ts';

type Step =
  | { readonly type: 'call'; readonly priority: Priority; readonly kind: 'write' | 'read' | 'register' }
  | { readonly type: 'fault'; readonly fault: 'none' | 'no-ack' | 'garbage' | 'half' | 'stuck' }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'fail' }
  | { readonly type: 'let-go' }
  | { readonly type: 'fail-opening' }
  | { readonly type: 'close' };

const priority = fc.constantFrom<Priority[]>('input', 'frame');
const kind = fc.constantFrom<('write' | 'read' | 'register')[]>('write', 'read', 'register');
const call = fc.record({ type: fc.constant('call' as const), priority, kind });
const fault = fc.constantFrom<('none' | 'no-ack' | 'garbage' | 'half' | 'stuck')[]>(
  'none',
  'no-ack',
  'garbage',
  'half',
  'stuck',
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: call, weight: 60 },
  { arbitrary: fc.record({ type: fc.constant('fault' as const), fault }), weight: 8 },
  {
    arbitrary: fc.record({
      type: fc.constant('pass' as const),
      ms: fc.constantFrom(0, 1, 7, 150, 250, 3000),
    }),
    weight: 30,
  },
  { arbitrary: fc.constant({ type: 'fail' as const }), weight: 6 },
  { arbitrary: fc.constant({ type: 'let-go' as const }), weight: 4 },
  { arbitrary: fc.constant({ type: 'fail-opening' as const }), weight: 4 },
  { arbitrary: fc.constant({ type: 'close' as const }), weight: 1 },
);

/** Longer than the time of a transfer now and then. */
const transferTimes = fc.infiniteStream(fc.constantFrom(0, 0, 1, 1, 3, 40, 190, 210));

t.test('whatever happens: one end for every call, in order, one transfer at a time', async (t) => {
  const seen = new Map<string, number>();
  const see = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120, size: 'max' }), transferTimes, async (steps, times) => {
      const made = bench({ ...usual, transferMs: () => times.next().value });
      const { owner, timers, sim, transports, openings, events } = made;
      const calls: { priority: Priority; fate: ReturnType<typeof fate> }[] = [];
      await owner.start();
      for (const one of steps) {
        if (one.type === 'pass') {
          await timers.pass(one.ms);
        } else if (one.type === 'fault') {
          sim.fault(0x20, one.fault);
        } else if (one.type === 'fail') {
          transports
            .at(-1)
            ?.failures.push(...Array<SurfacedError>(5).fill(new SurfacedError('E_HW_BUS', 'EIO')));
        } else if (one.type === 'fail-opening') {
          openings.push(new SurfacedError('E_HW_BUS_OPEN', 'ENOENT'));
        } else if (one.type === 'let-go') {
          transports[0]?.letGo();
        } else if (one.type === 'close') {
          void owner.close();
        } else {
          // The number of the call is how many bytes it writes or reads, so that it is known again on the bus.
          const serial = calls.length + 1;
          const part = owner.device(serial % 3 === 0 ? 0x21 : 0x20);
          const bytes = new Uint8Array(serial);
          const promise =
            one.kind === 'write' ? part.write(one.priority, bytes) : part.read(one.priority, serial);
          calls.push({ priority: one.priority, fate: fate(promise) });
        }
        const hung = transports.filter(({ running }) => running > 0).length;
        if (hung > 2) throw new Error(`${hung} transfers in the kernel at once`);
        if (hung === 2) see('two hang');
      }
      const closed = fate(owner.close());
      await timers.pass(400);
      if (closed.now !== 'done') throw new Error('close does not end');
      const after = fate(owner.device(0x20).write('input', [1]));
      await timers.pass(10_000);
      if (after.now !== 'E_HW_BUS') throw new Error('it is closed');
      for (const [index, { fate: one }] of calls.entries()) {
        if (one.endings !== 1) throw new Error(`call ${index + 1} has ${one.endings} ends`);
        if (!['done', 'E_HW_BUS', 'E_HW_NO_ACK'].includes(one.now)) throw new Error(`it ended as ${one.now}`);
        see(one.now);
      }
      const begun = transports.flatMap((transport) => {
        if (transport.mostRunning > 1) throw new Error('two transfers at once');
        return transport.begun.map(({ write, readLength }) => Math.max(write.length, readLength));
      });
      for (const wanted of ['input', 'frame'] as const) {
        const serials = begun.filter((serial) => calls[serial - 1]?.priority === wanted);
        const isInOrder = serials.every((serial, index) => index === 0 || serial > serials[index - 1]!);
        if (!isInOrder) throw new Error(`${wanted} transfers out of order: ${serials}`);
      }
      const devices = [...owner.counters().values()];
      const count = (name: 'transfers' | 'noAcks' | 'errors' | 'timeouts') =>
        devices.reduce((sum, counters) => sum + counters[name], 0);
      const done = calls.filter(({ fate: one }) => one.now === 'done').length;
      const silent = calls.filter(({ fate: one }) => one.now === 'E_HW_NO_ACK').length;
      if (count('transfers') !== done || count('noAcks') !== silent) throw new Error('miscounted');
      if (done + silent + count('errors') + count('timeouts') !== begun.length) throw new Error('miscounted');
      const lost = events.filter((event) => event.startsWith('lost')).length;
      const opened = events.filter((event) => event === 'opened').length;
      if (lost > 0) see('lost');
      if (opened > 1) see('opened anew');
      if (opened - lost > 1 || lost > opened) throw new Error(`opened ${opened} times, lost ${lost} times`);
      if (timers.delays.length > 0 && transports.every(({ running }) => running === 0)) {
        throw new Error('something is still to happen');
      }
    }),
    { numRuns: 300 },
  );
  // So that what is said above has been put to the test.
  for (const what of ['done', 'E_HW_BUS', 'E_HW_NO_ACK', 'two hang', 'lost', 'opened anew']) {
    t.ok((seen.get(what) ?? 0) > 10, `${what}: ${seen.get(what)} times`);
  }
});
