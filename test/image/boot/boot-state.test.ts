import fc from 'fast-check';
import t from 'tap';
import {
  type BootState,
  bootStateSector,
  initialBootState,
  readBootStateSector,
} from '../../../image/boot/boot-state.ts';
import { encodeEnvironment } from '../../../image/boot/environment.ts';
import type { SlotName } from '../../../image/layout.ts';
import { afterCall, type Call, otherOf, startOf } from './boot-state-model.ts';

const slots = fc.constantFrom<SlotName>('a', 'b');
const bootStates: fc.Arbitrary<BootState> = fc
  .record({
    good: slots,
    trial: fc.option(slots),
    left: fc.integer({ min: 0, max: 3 }),
  })
  .map((state) => (state.trial === null ? { ...state, left: 0 } : state));

t.test('a sector is read as it was written', async (t) => {
  fc.assert(
    fc.property(bootStates, (state) => {
      const sector = bootStateSector(state);
      return sector.length === 512 && JSON.stringify(readBootStateSector(sector)) === JSON.stringify(state);
    }),
  );
  t.throws(() => bootStateSector({ ...initialBootState, left: 4 }), /left is 4/);
});

t.test('what a sector says beyond its meaning is read as the boot script reads it', async (t) => {
  const read = (pairs: [string, string][]) => readBootStateSector(encodeEnvironment(new Map(pairs), 512));
  t.same(read([]), initialBootState);
  t.same(
    read([
      ['good', 'c'],
      ['trial', 'c'],
      ['left', '4'],
    ]),
    initialBootState,
  );
  t.same(
    read([
      ['good', 'b'],
      ['trial', ''],
      ['left', '03'],
    ]),
    { good: 'b', trial: null, left: 0 },
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 600 }),
      (bytes) => readBootStateSector(Buffer.from(bytes)) === null,
    ),
  );
});

/**
 * What is in a slot: it runs well, or starts and is never found healthy, or its initramfs cannot open it, or it hangs before
 * that until somebody pulls the plug.
 */
type Content = 'healthy' | 'sick' | 'broken' | 'hanging';

/** When the power goes: not at all, while the first copy is written, or before the second one is. */
type Cut = 'none' | 'torn' | 'between';

/** What happens to a card. */
type Step =
  /** An update of the slot that does not run; `isWhole` false: the power goes while it is written. */
  | {
      readonly kind: 'install';
      readonly content: Content;
      readonly isWhole: boolean;
      readonly cuts: readonly [Cut, Cut];
    }
  | { readonly kind: 'mark'; readonly mark: 'good' | 'bad'; readonly cut: Cut }
  | { readonly kind: 'restart' };

const cuts = fc.constantFrom<Cut>('none', 'none', 'torn', 'between');
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('install' as const),
      content: fc.constantFrom<Content>('healthy', 'sick', 'broken', 'hanging'),
      isWhole: fc.boolean(),
      cuts: fc.tuple(cuts, cuts),
    }),
    fc.record({ kind: fc.constant('mark' as const), mark: fc.constantFrom('good', 'bad'), cut: cuts }),
    fc.record({ kind: fc.constant('restart' as const) }),
  ),
  { maxLength: 12 },
);

/** A card in a machine. */
class Card {
  readonly contents: Record<SlotName, Content> = { a: 'healthy', b: 'broken' };
  current: SlotName = 'a';
  #copies: [BootState | null, BootState] = [initialBootState, initialBootState];

  get state(): BootState {
    return this.#copies[0] ?? this.#copies[1];
  }

  #write(state: BootState, cut: Cut): void {
    this.#copies = [cut === 'torn' ? null : state, cut === 'none' ? state : this.#copies[1]];
  }

  /** Calls the program; false when it refuses. */
  call(call: Call, cut: Cut): boolean {
    const next = afterCall(this.state, call, { current: this.current, hasFooter: () => true });
    if (next !== null) this.#write(next, cut);
    return next !== null;
  }

  /** Starts, as often as it takes; whether a slot stays on then. */
  start(): boolean {
    for (let attempt = 0; attempt < 12; attempt++) {
      const { slot, next } = startOf(this.state);
      this.#write(next, 'none');
      this.current = slot;
      const content = this.contents[slot];
      if (content === 'healthy' || content === 'sick') return true;
      if (content === 'broken') this.call(['set-state', slot, 'bad'], 'none');
    }
    return false;
  }

  /** One step; false when no slot starts any more. */
  do(step: Step): boolean {
    if (step.kind === 'restart') return this.start();
    if (step.kind === 'mark') {
      // Only what is healthy is called good.
      if (step.mark === 'good' && this.contents[this.current] !== 'healthy') return true;
      this.call(['set-state', this.current, step.mark], step.cut);
      return step.cut === 'none' || this.start();
    }
    const target = otherOf(this.current);
    const [before, after] = step.cuts;
    if (!this.call(['set-state', target, 'bad'], before)) return true;
    if (before !== 'none') return this.start();
    // What a slot does of which a part is old and a part is new, is anybody's guess.
    this.contents[target] = step.isWhole || step.content === 'hanging' ? step.content : 'broken';
    if (!step.isWhole) return this.start();
    this.call(['set-primary', target], after);
    return after === 'none' || this.start();
  }
}

t.test('whatever happens, wherever the power is cut, a slot is left that starts', async () => {
  fc.assert(
    fc.property(steps, (all) => {
      const card = new Card();
      return all.every((step) => card.do(step)) && card.start();
    }),
    { numRuns: 5_000 },
  );
});
