/** Parts come and go in any order, alone or with their bus, and take nothing else along. */
import t from 'tap';
import type { ComposedPart } from '../../daemon/hw/parts/compose.ts';
import { Random } from '../sim/cluster/random.ts';
import { Hands, restFaders } from './hands.ts';
import { isWhole, Monitor, missingIn, openRig, problemIn } from './open-rig.ts';
import type { Ability } from './rig.ts';
import { hasLights, nameOf, panelOf } from './wired-parts.ts';

const seed = Number(process.env.SURFACED_SEED ?? Math.floor(Math.random() * 2 ** 32));
t.comment(`seed ${seed}; the same order again: SURFACED_SEED=${seed}`);
const random = new Random(seed);

const rig = await openRig();
const panel = await panelOf(rig);
await restFaders(rig, panel);
const monitor = new Monitor(rig);
t.teardown(async () => {
  await monitor.stop();
  await rig.close();
});
const hands = new Hands({ rig, panel, monitor, say: (text) => t.comment(text) });
const onBuses = panel.parts.filter(({ wiring }) => wiring !== null);
const on = (bus: number): ComposedPart[] => onBuses.filter(({ wiring }) => wiring?.bus === bus);
const buses = [...new Set(onBuses.map(({ wiring }) => wiring?.bus ?? 0))];

const skipUnless = (ability: Ability): string | false =>
  rig.abilities.has(ability) ? false : `the ${rig.name} rig has not the ability ${ability}`;
const shuffled = <One>(list: readonly One[]): One[] =>
  list
    .map((one) => ({ one, place: random.next() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ one }) => one);

/** Resolves when the controls of these parts are told as missing, and no others. */
const missesOnly = (away: Iterable<ComposedPart>) => {
  const names = [...away].flatMap(({ spec }) => spec.controls.map(({ name }) => name)).toSorted();
  return monitor.until((lines) => missingIn(lines).toSorted().join() === names.join());
};

/** Touches each of these parts once, and looks at its lights. */
async function works(t: Parameters<Hands['touch']>[0], parts: readonly ComposedPart[]): Promise<void> {
  for (const part of parts) {
    await hands.touch(t, part, 'one');
    if (rig.abilities.has('lights') && hasLights(part)) await hands.light(t, part);
  }
}

t.test('the panel opens, whole', async () => {
  await hands.ready();
});

t.test('parts come and go in any order', { skip: skipUnless('unplug-part') }, async (t) => {
  const away = new Set<ComposedPart>();
  const from = monitor.lines.length;
  const toggle = async (part: ComposedPart): Promise<void> => {
    const isAway = away.delete(part);
    if (!isAway) away.add(part);
    await (isAway ? rig.plug(nameOf(part)) : rig.unplug(nameOf(part)));
    await missesOnly(away);
    await monitor.until((lines) => [...away].every(({ label }) => problemIn(lines)?.includes(label)));
    if (away.size === 0) await monitor.until(isWhole);
    t.pass(`${nameOf(part)} is ${isAway ? 'back' : 'away'}, ${away.size} are missing and named`);
  };
  for (const part of shuffled(onBuses)) await toggle(part);
  for (const part of shuffled(onBuses)) await toggle(part);
  for (const part of shuffled([...onBuses, ...onBuses]).slice(0, onBuses.length)) await toggle(part);
  for (const part of shuffled([...away])) await toggle(part);
  const acted = monitor.lines.slice(from).filter(({ type }) => type === 'press' || type === 'turn');
  t.same(acted, [], 'nothing was touched');
  await hands.ready();
  await works(t, onBuses);
});

t.test(
  'buses go and come back, what is not on them works on',
  { skip: skipUnless('unplug-bus') },
  async (t) => {
    for (const bus of shuffled(buses)) {
      await rig.unplugBus(bus);
      await missesOnly(on(bus));
      t.pass(`bus ${bus} is away`);
      await works(t, shuffled(panel.parts.filter(({ wiring }) => wiring?.bus !== bus)).slice(0, 3));
      await rig.plugBus(bus);
      await hands.ready();
      await works(t, shuffled(on(bus)).slice(0, 3));
    }
    for (const bus of shuffled(buses)) await rig.unplugBus(bus);
    await missesOnly(onBuses);
    t.pass('all buses are away');
    for (const bus of shuffled(buses)) await rig.plugBus(bus);
    await hands.ready();
    await works(t, onBuses);
  },
);

t.test('the end', async (t) => {
  hands.assertToldOnce(t);
  t.equal(await monitor.stop(), 0);
  if (rig.abilities.has('lights'))
    for (const part of panel.parts.filter(hasLights)) {
      const { rgb } = await rig.lights(nameOf(part));
      t.ok(
        rgb.every((level) => level === 0),
        `${part.label} is dark`,
      );
    }
  t.same(await rig.protocolErrors(), []);
});
