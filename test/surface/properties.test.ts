import fc from 'fast-check';
import t from 'tap';
import { answerTimeoutMs } from '../../daemon/surface/outbox.ts';
import { amountAt, limitsOf } from '../../daemon/surface/scale.ts';
import { Surface } from '../../daemon/surface/surface.ts';
import type { Binding, Intent, PanelSpec, SurfaceInput } from '../../daemon/surface/types.ts';
import { arbitraryBindings, arbitraryStory } from './arbitraries.ts';
import { bare, binding, desk, grid, options, Rig, travel, view } from './rig.ts';

const panels: readonly PanelSpec[] = [desk, bare, grid];
const numRuns = 300;

/** Follows a surface from the outside and throws when it does what it never may. */
class Watcher {
  readonly #surface: Surface;
  readonly #panel: PanelSpec;
  readonly #isPunctual: boolean;
  #at = 0;
  #bindings = new Map<number, Binding>();
  #isOnline = false;
  #lastSeq = 0;
  #armDownSince: number | null = null;
  readonly #inFlight = new Map<number, { readonly seq: number; readonly at: number }>();
  sentCount = 0;
  armedCount = 0;

  /** @param isPunctual whether timers are served in time or only with the next input */
  constructor(surface: Surface, panel: PanelSpec, isPunctual: boolean) {
    this.#surface = surface;
    this.#panel = panel;
    this.#isPunctual = isPunctual;
  }

  wait(ms: number): void {
    const end = this.#at + ms;
    for (let wakes = 0; this.#isPunctual; wakes++) {
      const wakeAt = this.#surface.nextWakeAt();
      if (wakeAt === null || wakeAt > end) break;
      if (wakes > 200) throw new Error('asks to be woken again and again');
      this.#at = Math.max(this.#at, wakeAt);
      this.#check(this.#surface.tick(this.#at));
    }
    this.#at = end;
  }

  /** An answer of a story counts back from the newest command. */
  addressed(input: SurfaceInput): SurfaceInput {
    if (input.type !== 'ack') return input;
    return { ...input, ack: { ...input.ack, seq: this.#lastSeq - input.ack.seq } };
  }

  apply(input: SurfaceInput): void {
    // What the outside knows before the surface answers.
    if (input.type === 'link') {
      this.#isOnline = input.state === 'online';
      if (!this.#isOnline) this.#inFlight.clear();
    }
    if (input.type === 'bindings') {
      this.#bindings = new Map(input.bindings.map((bound) => [bound.slot, bound]));
      for (const slot of this.#inFlight.keys()) if (!this.#bindings.has(slot)) this.#inFlight.delete(slot);
    }
    if (input.type === 'ack' && input.ack.phase !== 'received')
      for (const [slot, { seq }] of this.#inFlight) if (seq === input.ack.seq) this.#inFlight.delete(slot);
    const arm = this.#panel.roles.arm;
    const isArmReset =
      input.type === 'reset' && (input.controls === null || input.controls.includes(arm ?? ''));
    const wasArmDownSince = this.#armDownSince;
    if (input.type === 'press' && input.control === arm) this.#armDownSince = this.#at;
    if ((input.type === 'release' && input.control === arm) || isArmReset) this.#armDownSince = null;
    const intents = this.#surface.apply(input, this.#at);
    // A timer that was served late counts with what was true until this input.
    this.#check(intents, input.type === 'release' ? wasArmDownSince : this.#armDownSince);
  }

  #check(intents: readonly Intent[], armDownSince = this.#armDownSince): void {
    const frame = this.#surface.frame(this.#at);
    for (const intent of intents) this.#checkIntent(intent, frame.isLocked, armDownSince);
    const wakeAt = this.#surface.nextWakeAt();
    if (wakeAt !== null && wakeAt <= this.#at)
      throw new Error(`wants to be woken at ${wakeAt}, now ${this.#at}`);
    const size = this.#panel.matrix;
    if ((frame.matrix === null) !== (size === null)) throw new Error('matrix');
    if (size !== null && frame.matrix?.rgb.length !== size.width * size.height * 3)
      throw new Error('matrix size');
    for (const control of this.#panel.controls) {
      const shown = frame.controls.get(control.name);
      if (shown === undefined) throw new Error(`nothing for ${control.name}`);
      for (const part of [shown.position, shown.ring])
        if (part !== null && !(part >= 0 && part <= 1)) throw new Error(`feedback ${part}`);
    }
  }

  #checkIntent(intent: Intent, isLocked: boolean, armDownSince: number | null): void {
    const { seq, slot, want, saw, arm } = intent;
    const fail = (why: string): never => {
      throw new Error(`${why}: ${JSON.stringify(intent)} at ${this.#at}`);
    };
    const bound = this.#bindings.get(slot) ?? fail('slot is not bound');
    this.sentCount++;
    if (seq !== this.#lastSeq + 1) fail(`seq after ${this.#lastSeq}`);
    this.#lastSeq = seq;
    if (!this.#isOnline) fail('while not online');
    if (isLocked) fail('while locked');
    const { min, max } = limitsOf(bound);
    if (!Number.isInteger(want) || want < min || want > max) fail(`outside ${min}..${max}`);
    if (bound.zero === 'never' && want === 0) fail('zero never');
    if (want === saw) fail('asks for what is there');
    if (want === 0 && !arm.includes('zero')) fail('zero unarmed');
    if (arm.length > 0) this.armedCount++;
    if (arm.length > 0 && (armDownSince === null || this.#at - armDownSince < 1000))
      fail('armed without a hold');
    const before = this.#inFlight.get(slot);
    if (before !== undefined && this.#at - before.at < answerTimeoutMs) fail('second in flight');
    this.#inFlight.set(slot, { seq, at: this.#at });
  }
}

t.test('whatever happens, nothing is sent that may not be', async (t) => {
  let sentCount = 0;
  let armedCount = 0;
  for (const panel of panels) {
    fc.assert(
      fc.property(
        arbitraryBindings(panel).chain((bindings) =>
          fc.tuple(
            fc.constant(bindings),
            arbitraryStory(
              panel,
              bindings.map(({ control }) => control),
            ),
          ),
        ),
        fc.boolean(),
        fc.constantFrom(false, false, false, true),
        fc.constantFrom(0, 0, 0, 0, 5000),
        ([bindings, story], isPunctual, isLockedAtStart, lockAfterIdleMs) => {
          const surface = new Surface(panel, { ...options, isLockedAtStart, lockAfterIdleMs });
          const watcher = new Watcher(surface, panel, isPunctual);
          watcher.apply({ type: 'bindings', bindings });
          watcher.apply({ type: 'link', state: 'online', detail: '', isAttested: true, fault: null });
          for (const { slot } of bindings) watcher.apply({ type: 'slot', slot, view: view(3) });
          for (const [waitMs, input] of story) {
            watcher.wait(waitMs);
            watcher.apply(watcher.addressed(input));
          }
          watcher.wait(15_000);
          sentCount += watcher.sentCount;
          armedCount += watcher.armedCount;
        },
      ),
      { numRuns },
    );
  }
  t.comment(`${sentCount} commands, ${armedCount} of them armed`);
  t.ok(sentCount > 200, `stories are not idle: ${sentCount} commands`);
  t.ok(armedCount > 0, `some are armed: ${armedCount}`);
});

t.test('a first reading sends nothing, however often it repeats', async (t) => {
  const causes: Record<string, (rig: Rig, bindings: readonly Binding[]) => void> = {
    start: () => {},
    reset: (rig) => rig.apply({ type: 'reset', controls: null }),
    link: (rig) => {
      rig.link('stale');
      rig.link('online');
    },
    bindings: (rig, bindings) => rig.apply({ type: 'bindings', bindings }),
    bank: (rig) => {
      rig.press('next');
      rig.release('next');
      rig.press('next');
      rig.release('next');
    },
    lock: (rig) => {
      rig.hold('lock', 600);
      rig.hold('lock', 600);
    },
  };
  const position = fc.double({ min: 0, max: 1, noNaN: true });
  for (const [cause, happen] of Object.entries(causes)) {
    fc.assert(
      fc.property(
        fc.array(position, { maxLength: 6 }),
        position,
        fc.integer({ min: 0, max: 12 }),
        fc.constantFrom('pickup' as const, 'motor' as const, 'jump' as const),
        (before, first, desired, takeover) => {
          const control = takeover === 'motor' ? 'motor' : 'fader';
          const bindings = [
            binding({ control, takeover }),
            binding({ slot: 1, bank: 1, control: 'encoder' }),
          ];
          const rig = new Rig(desk, bindings);
          rig.slot(desired);
          if (cause !== 'start') {
            rig.touch(true);
            for (const value of before) rig.position(value, control);
            rig.touch(false);
            rig.wait(1000);
            for (const { seq, want } of [...rig.sent]) rig.ack(seq, 'converged', { now: want });
          }
          happen(rig, bindings);
          rig.slot(desired);
          rig.take();
          rig.touch(true);
          rig.position(first, control);
          rig.position(first, control);
          rig.touch(false);
          rig.wait(3000);
          rig.hold('arm', 1500);
          rig.wait(6000);
          const sent = rig.take();
          if (sent.length > 0) throw new Error(`after ${cause}: ${sent.join()}`);
        },
      ),
      { numRuns: 60 },
    );
  }
  t.pass();
});

/** A gateway that accepts everything after a while and shows it a while later. */
function answerAll(rig: Rig, delayMs: number): void {
  for (let round = 0; round < 10; round++) {
    const [command] = rig.sent.splice(0, 1);
    if (command === undefined) {
      rig.wait(700);
      if (rig.sent.length === 0) return;
      continue;
    }
    rig.wait(delayMs);
    rig.ack(command.seq, 'accepted', { now: command.want });
    rig.wait(delayMs);
    rig.slot(command.want);
    rig.ack(command.seq, 'converged', { now: command.want });
  }
}

t.test('the newest number wins, from faders and from encoders', async (t) => {
  const bound = binding({ min: 1, max: 15, zero: 'never' });
  const steps = fc.array(
    fc.record({
      value: fc.double({ min: 0, max: 1, noNaN: true }),
      waitMs: fc.integer({ min: 0, max: 400 }),
      hasAnswer: fc.boolean(),
    }),
    { minLength: 1, maxLength: 25 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 300 }), (moves, delayMs) => {
      const rig = new Rig(desk, [bound]);
      rig.slot(5);
      rig.position(travel(5, 1, 15));
      let desired = 5;
      const answer = (): void => {
        const command = rig.sent.shift();
        if (command === undefined) return;
        rig.ack(command.seq, 'accepted', { now: command.want });
        rig.slot(command.want);
        desired = command.want;
      };
      for (const { value, waitMs, hasAnswer } of moves) {
        rig.position(value);
        rig.wait(waitMs);
        if (rig.sent.length > 1) throw new Error('two in flight');
        if (hasAnswer) answer();
      }
      const shown = rig.strip().wanted ?? desired;
      answerAll(rig, delayMs);
      const last = rig.strip().desired ?? -1;
      const amount = amountAt(limitsOf(bound), moves.at(-1)?.value ?? 0);
      if (last !== shown) throw new Error(`${last} in the end, ${shown} was shown`);
      if ((rig.strip().wanted ?? last) !== last) throw new Error('still wanted');
      const isPicked = rig.strip().hint === null;
      if (isPicked && Math.abs(last - amount) > 0.75) throw new Error(`${last} for ${amount}`);
    }),
    { numRuns },
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ detents: fc.integer({ min: -4, max: 4 }), waitMs: fc.integer({ min: 0, max: 400 }) }),
        { minLength: 1, maxLength: 20 },
      ),
      fc.integer({ min: 0, max: 300 }),
      (turns, delayMs) => {
        const rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative' })]);
        rig.slot(5);
        let expected = 5;
        for (const { detents, waitMs } of turns) {
          rig.turn(detents * 4);
          expected = Math.min(11, Math.max(1, expected + detents));
          rig.wait(waitMs);
          const command = rig.sent.shift();
          if (command === undefined) continue;
          rig.ack(command.seq, 'accepted', { now: command.want });
        }
        answerAll(rig, delayMs);
        if (rig.strip().desired !== expected) throw new Error(`${rig.strip().desired}, not ${expected}`);
      },
    ),
    { numRuns },
  );
  t.pass();
});
