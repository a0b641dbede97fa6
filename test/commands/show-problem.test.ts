import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { findPanel } from '../../daemon/commands/find-panel.ts';
import { problemFrame } from '../../daemon/commands/problem-view.ts';
import { readProblem, showProblem } from '../../daemon/commands/show-problem.ts';
import { systemMachine } from '../../daemon/hw/doctor/system.ts';
import type { Frame, Panel, PanelSpec } from '../../daemon/surface/types.ts';

const problem = { code: 'E1', title: 'SURFACED.YAML', detail: 'surfaced.yaml:3:1 it is wrong' } as const;
const spec = (matrix: PanelSpec['matrix']): PanelSpec => ({
  model: 'desk',
  controls: [{ name: 'arm', kind: 'button' }],
  matrix,
  roles: {},
});

t.test('letters where they fit, else flashes that can be counted', async (t) => {
  const { frame, untilMs } = problemFrame(spec({ width: 8, height: 8 }), problem, 0);
  const { matrix } = frame;
  const lit = Array.from({ length: 8 }, (_, row) =>
    Array.from({ length: 8 }, (_, column) => (matrix?.rgb[(row * 8 + column) * 3] ? '#' : '.')).join(''),
  );
  t.same(lit, [
    '........',
    '###..#..',
    '#...##..',
    '##...#..',
    '#....#..',
    '###.###.',
    '........',
    '........',
  ]);
  t.ok(
    matrix?.rgb.every((value, at) => at % 3 === 0 || value === 0),
    'in red',
  );
  t.equal(untilMs, 250, 'the button flashes meanwhile');
  t.match(frame.link, { state: 'offline', detail: /^E1 SURFACED\.YAML: surfaced\.yaml:3:1/ });
  t.ok(
    problemFrame(spec({ width: 8, height: 8 }), problem, 2500).frame.matrix?.rgb.every(
      (value) => value === 0,
    ),
  );
  const flashes = (code: 'E1' | 'E4', matrix: PanelSpec['matrix']): number => {
    let count = 0;
    let wasLit = false;
    for (let at = 0; at < Number(code[1]) * 500 + 1500; ) {
      const { frame: one, untilMs: ms } = problemFrame(spec(matrix), { ...problem, code }, at);
      const isLit = (one.controls.get('arm')?.light[0] ?? 0) > 0;
      t.equal((one.matrix?.rgb[0] ?? 0) > 0, isLit && matrix !== null);
      if (isLit && !wasLit) count++;
      wasLit = isLit;
      t.ok(ms > 0);
      at += ms;
    }
    return count;
  };
  t.equal(flashes('E1', null), 1);
  t.equal(flashes('E4', { width: 8, height: 1 }), 4);
});

t.test('what first boot wrote, and what it cannot have written', async (t) => {
  const folder = t.testdir({
    good: JSON.stringify({ ...problem, panel: { preset: 'sense-hat' } }),
    none: JSON.stringify({ ...problem, panel: { preset: 'gone' } }),
    bad: '{"code":"E99"}',
    no: 'x',
  });
  const at = (name: string) => readProblem(path.join(folder, name));
  t.match(await at('good'), { ...problem, panel: { preset: 'sense-hat' } });
  t.match(await at('none'), { ...problem, panel: null }, 'a panel that is not good is looked for');
  for (const name of ['bad', 'no']) await t.rejects(at(name), { code: 'E_CFG_INVALID' });
  await t.rejects(at('away'), { code: 'E_CFG_READ' });
});

t.test('it is shown until it is stopped, and then the panel is let go', async (t) => {
  const frames: Frame[] = [];
  let isStopped = false;
  const panel: Panel = {
    spec: spec({ width: 8, height: 8 }),
    state: { isOpen: true, problem: null },
    start: async () => {},
    show: (frame) => {
      frames.push(frame);
    },
    stop: async () => {
      isStopped = true;
    },
  };
  const shown = showProblem(panel, problem, () => 0);
  t.equal(frames.length, 1);
  await shown.stop();
  t.equal(isStopped, true);
});

const machineIn = async (t: Test, files: Record<string, string>) => {
  const root = t.testdir({});
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return { ...(await systemMachine()), root, loadIoctl: () => Promise.reject(new Error('none')) };
};

t.test('panels that make themselves known', async (t) => {
  t.equal(await findPanel(await machineIn(t, {})), null);
  const midi = (title: string) => ({
    'dev/snd/midiC1D0': '',
    'proc/asound/card1/midi0': `${title}\n\nOutput 0\n`,
  });
  const found: Record<string, string> = {
    'Launchpad Mini MK3': 'launchpad-mini-mk3',
    'Launchpad X': 'launchpad-x',
    'X-TOUCH MINI': 'x-touch-mini',
    'X-Touch': 'mackie-control',
    nanoKONTROL2: 'nanokontrol2',
  };
  for (const [title, preset] of Object.entries(found))
    t.match(await findPanel(await machineIn(t, midi(title))), { preset, port: { path: 'hw:1,0,0' } }, title);
  const two = 'Launchpad Mini MK3\n\nOutput 0\nOutput 1\n';
  const both = await machineIn(t, { 'dev/snd/midiC1D0': '', 'proc/asound/card1/midi0': two });
  t.match(await findPanel(both), { port: { path: 'hw:1,0,1' } }, 'the second port, where names are not told');
  t.equal(await findPanel(await machineIn(t, midi('A synthesizer'))), null);
  const hat = await machineIn(t, { 'sys/class/graphics/fb0/name': 'RPi-Sense FB\n' });
  t.match(await findPanel(hat), { preset: 'sense-hat' });
});
