/** Everything that can happen to a surface, at random. */
import fc from 'fast-check';
import type {
  AckPhase,
  Binding,
  Guard,
  PanelSpec,
  PodLight,
  SlotCondition,
  SurfaceInput,
} from '../../daemon/surface/types.ts';

const slots = 5;
const slot = fc.integer({ min: 0, max: slots - 1 });
const small = fc.integer({ min: 0, max: 14 });
const colours = ['blue', 'orange', 'green', 'yellow', 'sky', 'vermilion', 'purple', 'white'] as const;
const guards: readonly Guard[] = ['zero', 'autoscaler', 'gitops', 'claims'];
const phases: readonly AckPhase[] = [
  'received',
  'accepted',
  'converged',
  'blocked',
  'reverted',
  'stale',
  'expired',
  'denied',
  'needs-arm',
];
const podLights: readonly PodLight[] = ['ready', 'running', 'pending', 'crashed', 'terminating'];
const states: readonly SlotCondition['state'][] = [
  'ok',
  'progressing',
  'blocked',
  'missing',
  'denied',
  'unreachable',
  'unknown',
];

/** Bindings of the controls of a panel; slots are unique. */
export function arbitraryBindings(panel: PanelSpec): fc.Arbitrary<Binding[]> {
  const names = panel.controls.filter((control) => control.kind !== 'button').map((control) => control.name);
  return fc.uniqueArray(
    fc
      .record({
        slot,
        control: fc.constantFrom(...names, 'not-on-the-panel'),
        bank: fc.constantFrom(0, 0, 0, 2),
        name: fc.constantFrom('cart', 'shop'),
        colour: fc.constantFrom(...colours),
        min: fc.constantFrom(0, 0, 1, 3),
        max: fc.integer({ min: 3, max: 40 }),
        step: fc.integer({ min: 1, max: 3 }),
        takeover: fc.constantFrom('pickup', 'motor', 'relative', 'jump'),
        zero: fc.constantFrom('never', 'arm'),
        isInverted: fc.boolean(),
      })
      .map((binding): Binding => binding),
    { selector: (binding) => binding.slot, minLength: 1, maxLength: slots },
  );
}

const view = fc.record({
  rev: small,
  at: small,
  name: fc.constant('cart'),
  colour: fc.constantFrom(...colours),
  kind: fc.constantFrom('Deployment', 'StatefulSet'),
  desired: fc.option(small, { nil: null, freq: 8 }),
  observed: small,
  ready: small,
  pods: fc.array(
    fc.tuple(fc.oneof(small.map(String), fc.string({ maxLength: 3 })), fc.constantFrom(...podLights)),
    {
      maxLength: 90,
    },
  ),
  condition: fc.record({
    state: fc.constantFrom(...states),
    reason: fc.constant(''),
    message: fc.constant(''),
  }),
  owner: fc.constant(null),
});

/** One step of a story: the time before it, and the input. */
export type Step = readonly [waitMs: number, input: SurfaceInput];

type Name = fc.Arbitrary<string>;

const value = fc.oneof(
  { weight: 30, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, -1, 7, Number.POSITIVE_INFINITY) },
);
const pulses = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: -12, max: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, 1e9) },
);

/** An answer; `seq` counts back from the newest command. */
const answer: fc.Arbitrary<SurfaceInput> = fc
  .record({
    seq: fc.constantFrom(0, 0, 0, 0, 1, 2, 5),
    phase: fc.constantFrom(...phases, 'accepted' as const, 'accepted' as const, 'needs-arm' as const),
    code: fc.constant('Code'),
    now: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: small }),
    detail: fc.constant(''),
    guards: fc.subarray([...guards]),
  })
  .map((ack) => ({ type: 'ack', ack }));

/** Any single input. */
function arbitraryInput(panel: PanelSpec, control: Name): fc.Arbitrary<SurfaceInput> {
  const index = fc.option(fc.integer({ min: 0, max: 9 }), { nil: null });
  const button = fc
    .record({ type: fc.constantFrom('press' as const, 'release' as const), control, index })
    .map(({ index: pad, ...event }): SurfaceInput => (pad === null ? event : { ...event, index: pad }));
  const touch = fc.record({ type: fc.constant('touch' as const), control, isTouched: fc.boolean() });
  const reset = fc.option(fc.array(control, { maxLength: 2 }), { nil: null });
  const state = fc.constantFrom(...(['online', 'online', 'online', 'online', 'stale', 'offline'] as const));
  return fc.oneof(
    { weight: 12, arbitrary: fc.record({ type: fc.constant('position' as const), control, value }) },
    { weight: 8, arbitrary: fc.record({ type: fc.constant('turn' as const), control, pulses }) },
    { weight: 10, arbitrary: button },
    { weight: 4, arbitrary: touch },
    { weight: 12, arbitrary: answer },
    { weight: 5, arbitrary: fc.record({ type: fc.constant('slot' as const), slot, view }) },
    {
      weight: 1,
      arbitrary: fc
        .array(control, { maxLength: 3 })
        .map((controls): SurfaceInput => ({ type: 'missing', controls })),
    },
    { weight: 1, arbitrary: reset.map((controls): SurfaceInput => ({ type: 'reset', controls })) },
    {
      weight: 1,
      arbitrary: arbitraryBindings(panel).map((bindings): SurfaceInput => ({ type: 'bindings', bindings })),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('link' as const),
        state,
        detail: fc.constant(''),
        isAttested: fc.boolean(),
        fault: fc.constantFrom(null, 'network' as const, 'refused' as const),
      }),
    },
  );
}

/** What people do with controls, from the first movement to the end of the hold. */
function arbitraryGesture(panel: PanelSpec, control: Name): fc.Arbitrary<Step[]> {
  const hold = (on: Name): fc.Arbitrary<Step[]> =>
    fc
      .record({ control: on, index: fc.integer({ min: 0, max: 7 }), ms: fc.constantFrom(100, 550, 1200) })
      .map(({ ms, ...pad }): Step[] => [
        [50, { type: 'press', ...pad }],
        [ms, { type: 'release', ...pad }],
      ]);
  const sweep = (on: Name): fc.Arbitrary<Step[]> =>
    fc
      .record({ control: on, from: value, to: value, stepMs: fc.integer({ min: 5, max: 90 }) })
      .map(({ control: name, from, to, stepMs }): Step[] => [
        [20, { type: 'touch', control: name, isTouched: true }],
        ...[0, 0.1, 0.3, 0.6, 0.8, 1].map(
          (part): Step => [
            stepMs,
            { type: 'position', control: name, value: Math.min(1, Math.max(0, from + (to - from) * part)) },
          ],
        ),
        [20, { type: 'touch', control: name, isTouched: false }],
        [400, { type: 'touch', control: name, isTouched: false }],
      ]);
  const spin = (on: Name): fc.Arbitrary<Step[]> =>
    fc
      .record({
        control: on,
        pulses,
        count: fc.integer({ min: 1, max: 6 }),
        gapMs: fc.integer({ min: 5, max: 200 }),
      })
      .map(({ count, gapMs, ...turn }): Step[] =>
        Array.from({ length: count }, (): Step => [gapMs, { type: 'turn', ...turn }]),
      );
  const kinds = new Map(panel.controls.map(({ name, kind }) => [name, kind]));
  const move = control.chain((name) => {
    switch (kinds.get(name)) {
      case 'fader':
        return sweep(fc.constant(name));
      case 'encoder':
        return spin(fc.constant(name));
      case 'pads':
        return fc.oneof(hold(fc.constant(name)), spin(fc.constant(name)));
      default:
        return hold(fc.constant(name));
    }
  });
  const { arm } = panel.roles;
  const confirm =
    arm === undefined
      ? move
      : fc.constantFrom(600, 1100, 1100).map((ms): Step[] => [
          [200, { type: 'press', control: arm }],
          [ms, { type: 'release', control: arm }],
        ]);
  const down = control.map((name): Step[] => [
    [300, { type: 'turn', control: name, pulses: -200 }],
    [10, { type: 'position', control: name, value: 0.9 }],
    [10, { type: 'position', control: name, value: 0 }],
  ]);
  const dare = fc.tuple(down, confirm).map((parts) => parts.flat());
  return fc.oneof(
    { weight: 3, arbitrary: move },
    { weight: 1, arbitrary: dare },
    { weight: 1, arbitrary: confirm },
  );
}

/**
 * Inputs with the time that passes before each: gestures, with anything at all in between.
 * @param bound controls that are bound and so come up more often
 */
export function arbitraryStory(panel: PanelSpec, bound: readonly string[]): fc.Arbitrary<Step[]> {
  const all = fc.constantFrom(...panel.controls.map(({ name }) => name), 'not-on-the-panel');
  const control = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...bound) },
    { weight: 1, arbitrary: all },
  );
  const waitMs = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 3, arbitrary: fc.integer({ min: 200, max: 1500 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1500, max: 12_000 }) },
  );
  const single = fc.tuple(waitMs, arbitraryInput(panel, control)).map((step): Step[] => [step]);
  const answered = fc.tuple(waitMs, answer).map((step): Step[] => [step]);
  const chapter = fc.oneof(
    { weight: 3, arbitrary: single },
    { weight: 4, arbitrary: arbitraryGesture(panel, control) },
    { weight: 3, arbitrary: answered },
  );
  return fc.array(chapter, { minLength: 1, maxLength: 40, size: 'max' }).map((chapters) => chapters.flat());
}
