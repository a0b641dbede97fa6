/** The program boot-state, on a file in the place of the card. */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { type BootState, bootStateSector, readBootStateSector } from '../../../image/boot/boot-state.ts';
import { footerText } from '../../../image/boot/slot.ts';
import { bootState, cardBytes, footerBytes, partitions, type SlotName } from '../../../image/layout.ts';
import { afterCall, type Call, isPending } from './boot-state-model.ts';

const program = fileURLToPath(
  new URL('../../../image/root/files/usr/lib/surfaced/boot-state', import.meta.url),
);
const footer = footerText({
  ...{ version: '0.1.0', rootHash: '0'.repeat(64), salt: '1'.repeat(64), dataBlocks: 1, hashOffset: 4096 },
});

/** A card of nothing but what the program looks at, sparse. */
function newCard(folder: string) {
  const file = path.join(folder, 'card');
  const commandLine = path.join(folder, 'cmdline');
  const card = openSync(file, 'w+');
  ftruncateSync(card, cardBytes);
  const put = (bytes: Uint8Array, at: number) => void writeSync(card, bytes, 0, bytes.length, at);
  const copy = (index: 0 | 1): Buffer => {
    const bytes = Buffer.alloc(bootState.bytes);
    readSync(card, bytes, 0, bytes.length, bootState.copies[index]);
    return bytes;
  };
  return {
    close: () => closeSync(card),
    copy,
    putCopy: (index: 0 | 1, bytes: Uint8Array) => put(bytes, bootState.copies[index]),
    set(state: BootState, current: SlotName, footers: readonly SlotName[]) {
      for (const at of bootState.copies) put(bootStateSector(state), at);
      for (const [slot, { startBytes, bytes }] of [
        ['a', partitions.slotA],
        ['b', partitions.slotB],
      ] as const)
        put(footers.includes(slot) ? footer : Buffer.alloc(footerBytes), startBytes + bytes - footerBytes);
      writeFileSync(commandLine, `panic=10 surfaced.slot=${current} rauc.slot=${current}\n`);
    },
    states: () => [readBootStateSector(copy(0)), readBootStateSector(copy(1))],
    call(...words: string[]) {
      const env = { ...process.env, SURFACED_BOOT_STATE_DEVICE: file, SURFACED_COMMAND_LINE: commandLine };
      const { status, stdout, stderr } = spawnSync('sh', [program, ...words], { env, encoding: 'utf8' });
      return { status, output: stdout.trim(), problem: stderr };
    },
  };
}

const slots = fc.constantFrom<SlotName>('a', 'b');
const states: fc.Arbitrary<BootState> = fc.record({
  good: slots,
  trial: fc.option(slots),
  left: fc.integer({ min: 0, max: 3 }),
});
const calls: fc.Arbitrary<Call> = fc.oneof(
  fc.tuple(fc.constant('set-primary' as const), slots),
  fc.tuple(fc.constant('set-state' as const), slots, fc.constantFrom('good' as const, 'bad' as const)),
);

t.test('does what the model says, with both copies', async (t) => {
  const card = newCard(t.testdir());
  fc.assert(
    fc.property(states, calls, slots, fc.subarray<SlotName>(['a', 'b']), (given, call, current, footers) => {
      // The slot that is good is never on trial.
      const state =
        given.trial === null || given.trial === given.good ? { ...given, trial: null, left: 0 } : given;
      card.set(state, current, footers);
      const wanted = afterCall(state, call, { current, hasFooter: (slot) => footers.includes(slot) });
      const { status, problem } = card.call(...call);
      const isRefused = wanted === null && status === 1 && /^boot-state: slot [ab] /.test(problem);
      const [first, second] = card.states();
      const expected = JSON.stringify(wanted ?? state);
      return (
        (isRefused || (wanted !== null && status === 0)) &&
        JSON.stringify(first) === expected &&
        JSON.stringify(second) === expected
      );
    }),
    { numRuns: 24 },
  );
  card.close();
});

t.test('tells which slot starts next, which one runs, and which ones may start', async (t) => {
  const card = newCard(t.testdir());
  fc.assert(
    fc.property(states, slots, (state, current) => {
      card.set(state, current, []);
      const before = [card.copy(0), card.copy(1)];
      const next = isPending(state) ? state.trial : state.good;
      const isGood = (slot: SlotName) => slot === state.good || (isPending(state) && slot === state.trial);
      const word = (slot: SlotName) => (isGood(slot) ? 'good' : 'bad');
      return (
        card.call('get-primary').output === next &&
        card.call('get-current').output === current &&
        card.call('get-state', 'a').output === word('a') &&
        card.call('get-state', 'b').output === word('b') &&
        before.every((bytes, index) => bytes.equals(card.copy(index as 0 | 1)))
      );
    }),
    { numRuns: 5 },
  );
  card.close();
});

t.test('a copy that is broken, or older than the first one, is mended by the next call', async (t) => {
  const card = newCard(t.testdir());
  const state: BootState = { good: 'b', trial: 'a', left: 2 };
  for (const broken of [0, 1] as const) {
    card.set(state, 'b', ['a', 'b']);
    card.putCopy(broken, Buffer.alloc(bootState.bytes, 0xff));
    t.equal(card.call('get-primary').output, 'a');
    t.equal(card.call('set-state', 'b', 'good').status, 0);
    t.same(card.states(), [state, state]);
  }
  card.putCopy(1, bootStateSector({ good: 'a', trial: null, left: 0 }));
  t.equal(card.call('set-state', 'b', 'good').status, 0);
  t.same(card.states(), [state, state]);
  for (const index of [0, 1] as const) card.putCopy(index, Buffer.alloc(bootState.bytes));
  t.equal(card.call('get-primary').output, 'a', 'nothing can be read: as on a new card');
  t.equal(card.call('set-primary', 'b').status, 0);
  t.same(card.states(), Array(2).fill({ good: 'a', trial: 'b', left: 3 }));
  card.close();
});

t.test('writes the sector that U-Boot writes', async (t) => {
  const card = newCard(t.testdir());
  card.set({ good: 'a', trial: null, left: 0 }, 'a', ['b']);
  card.call('set-primary', 'b');
  t.ok(card.copy(0).equals(bootStateSector({ good: 'a', trial: 'b', left: 3 })));
  card.close();
});

t.test('wrong words are refused, and a card that cannot be written', async (t) => {
  const card = newCard(t.testdir());
  card.set({ good: 'a', trial: null, left: 0 }, 'a', ['a', 'b']);
  for (const words of [
    [],
    ['get-state'],
    ['get-state', 'c'],
    ['set-state', 'a'],
    ['set-state', 'a', 'fine'],
    ['set-primary', 'a', 'b'],
    ['reboot'],
  ]) {
    const { status, problem } = card.call(...words);
    t.equal(status, 1, words.join(' '));
    t.match(problem, /^boot-state: /);
  }
  const env = { ...process.env, SURFACED_BOOT_STATE_DEVICE: '/dev/full', SURFACED_COMMAND_LINE: '/dev/null' };
  const { status, stderr } = spawnSync('sh', [program, 'set-state', 'b', 'good'], { env, encoding: 'utf8' });
  t.equal(status, 1);
  t.match(stderr, /cannot be written|does not keep/);
  t.match(
    spawnSync('sh', [program, 'get-current'], { env, encoding: 'utf8' }).stderr,
    /not started from a slot/,
  );
  card.close();
});
