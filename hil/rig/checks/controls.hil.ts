/** Every kind of control reaches the daemon through the kernel; parts and the bus come and go. */
import t from 'tap';
import { Monitor, type MonitorLine, openRig, pulsesOf } from '../../scenarios/open-rig.ts';

const rig = await openRig();
for (const fader of ['fader1', 'fader2']) await rig.move(fader, 0.2);
const monitor = new Monitor(rig);
t.teardown(async () => {
  await monitor.stop();
  await rig.close();
});
const is = (type: string, control: string) => (line: MonitorLine) =>
  line.type === type && line.control === control;
/** The list of missing controls, as it was told last, has all of these; none named: it is empty. */
const isMissing =
  (...controls: string[]) =>
  (lines: readonly MonitorLine[]): boolean => {
    const last = lines.filter((line) => line.type === 'missing').at(-1)?.controls as string[] | undefined;
    if (last === undefined) return false;
    return controls.length === 0 ? last.length === 0 : controls.every((name) => last.includes(name));
  };

t.test('the panel opens, whole', async (t) => {
  const lines = await monitor.until((lines) => lines.some(is('position', 'fader2')));
  t.notOk(
    lines.some((line) => line.type === 'press' || line.type === 'turn'),
    'nothing was touched',
  );
});

t.test('encoders: no pulse is lost, and direction is right', async (t) => {
  for (const encoder of ['encoder1', 'encoder2']) {
    const from = monitor.lines.length;
    await rig.turn(encoder, 50, 25);
    await monitor.until((lines) => Math.abs(pulsesOf(lines, encoder)) >= 200, from);
    await rig.turn(encoder, -20, 25);
    const lines = await monitor.until((lines) => pulsesOf(lines, encoder) <= 120, from);
    t.equal(pulsesOf(lines, encoder), 120, encoder);
  }
});

t.test('buttons, pads and pushes: the first press counts, once', async (t) => {
  for (const [control, pad] of [
    ['arm', null],
    ['undo', null],
    ['encoder1', null],
    ['row1', 0],
    ['row4', 3],
  ] as const) {
    const from = monitor.lines.length;
    await rig.press(control, pad);
    await monitor.until((lines) => lines.some(is('press', control)), from);
    await rig.release(control, pad);
    const lines = await monitor.until((lines) => lines.some(is('release', control)), from);
    t.equal(lines.filter(is('press', control)).length, 1, control);
    if (pad !== null) t.equal(lines.find(is('press', control))?.index, pad);
  }
});

t.test('faders arrive where they were put', async (t) => {
  const from = monitor.lines.length;
  await rig.move('fader1', 1);
  await monitor.until(
    (lines) => lines.some((line) => is('position', 'fader1')(line) && line.value === 1),
    from,
  );
  await rig.move('fader1', 0);
  await monitor.until(
    (lines) => lines.some((line) => is('position', 'fader1')(line) && line.value === 0),
    from,
  );
  t.notOk(monitor.lines.slice(from).some(is('position', 'fader2')), 'the other one rests');
});

t.test(
  'a part comes and goes: named, first reading ignored, lights again',
  { skip: skipUnless('unplug-part') },
  async (t) => {
    const from = monitor.lines.length;
    await rig.unplug('mcp23017@20');
    await monitor.until(isMissing('arm', 'undo'), from);
    await rig.press('arm', null);
    await rig.plug('mcp23017@20');
    await monitor.until(isMissing(), from);
    const back = monitor.lines.length;
    await rig.release('arm', null);
    await rig.press('undo', null);
    const lines = await monitor.until((lines) => lines.some(is('press', 'undo')), back);
    t.notOk(lines.some(is('press', 'arm')), 'what was down when it came back is no press');
    await rig.release('undo', null);
  },
);

t.test('the bus goes and comes back', { skip: skipUnless('unplug-bus') }, async (t) => {
  const from = monitor.lines.length;
  await rig.unplugBus(1);
  await monitor.until(
    (lines) =>
      lines.some((line) => line.type === 'missing' && (line.controls as string[]).includes('fader1')),
    from,
  );
  await rig.turn('encoder1', 5, 25);
  const away = await monitor.until((lines) => pulsesOf(lines, 'encoder1') === 20, from);
  t.ok(away, 'what is not on it works on');
  await rig.plugBus(1);
  await monitor.until(isMissing(), from);
  await rig.move('fader2', 0.9);
  const lines = await monitor.until(
    (lines) => lines.some((line) => is('position', 'fader2')(line) && Number(line.value) > 0.85),
    from,
  );
  t.notOk(
    lines.some((line) => line.type === 'press'),
    'nothing was pressed by it',
  );
});

t.test('lights follow the hand, and are dark in the end', { skip: skipUnless('lights') }, async (t) => {
  await rig.turn('encoder1', 1, 25);
  const isLit = async (): Promise<boolean> => (await rig.lights('ht16k33@70')).rgb.some((part) => part > 0);
  while (!(await isLit())) await new Promise(setImmediate);
  t.equal(await monitor.stop(), 0);
  t.equal(await isLit(), false);
  t.same(await rig.protocolErrors(), []);
});

function skipUnless(ability: Parameters<typeof rig.abilities.has>[0]): string | false {
  return rig.abilities.has(ability) ? false : `the ${rig.name} rig has not the ability ${ability}`;
}
