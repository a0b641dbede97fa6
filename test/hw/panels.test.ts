import t from 'tap';
import { type MidiPanelConfig, panelSchema } from '../../daemon/config/panel.ts';
import { createPanel, panelDriver } from '../../daemon/hw/panels.ts';
import { silentLog } from '../../daemon/log.ts';
import { hexOf as hex } from './chips/part-rig.ts';
import { frameOf } from './panels/frames.ts';

function config(panel: object): MidiPanelConfig {
  return panelSchema.parse({ port: { type: 'pty', path: '/nowhere' }, ...panel }) as MidiPanelConfig;
}

t.test('a config that does not fit is refused with every field that is wrong', async (t) => {
  const cases: [panel: object, faults: RegExp[]][] = [
    [{ preset: 'generic-midi' }, [/panel\.controls: .* needs at least one control/]],
    [
      {
        preset: 'generic-midi',
        controls: [
          { name: 'a', type: 'button' },
          { name: 'a', type: 'button', note: 1, cc: 2 },
        ],
        roles: { arm: 'b' },
      },
      [
        /panel\.controls\.0: a button needs either note or cc/,
        /panel\.controls\.1\.name: a is already taken/,
        /panel\.controls\.1: a button needs/,
        /panel\.roles\.arm: the panel has no control b/,
      ],
    ],
    [
      { preset: 'x-touch-mini', controls: [{ name: 'a', type: 'fader', cc: 1 }], roles: { undo: 'none' } },
      [/panel\.controls: only the preset generic-midi/, /panel\.roles\.undo/],
    ],
    [
      { preset: 'mackie-control', night: { from: '22:00', to: '06:00' } },
      [/^panel\.night: the lights of mackie-control are only on or off: a night cannot dim them$/],
    ],
  ];
  for (const [panel, faults] of cases) {
    const made = createPanel(config(panel), { log: silentLog, openPort: null, random: () => 0 });
    for (const fault of faults) await t.rejects(made, { code: 'E_CFG_INVALID', message: fault });
  }
});

t.test('the lights of a Launchpad are dimmed at night', async (t) => {
  const at = (hours: number) => new Date(2026, 0, 5, hours).getTime();
  const { isDimmable, open } = panelDriver(
    config({ preset: 'launchpad-x', brightness: 1, night: { from: '22:00', to: '06:00', brightness: 0.1 } }),
  );
  t.ok(isDimmable);
  const clock = t.capture(Date, 'now', () => at(12));
  const session = open();
  const frame = frameOf({ matrix: { '0,0': [255, 0, 0] } });
  t.match(hex(session.render(frame)), '03 51 7f 00 00', 'by day');
  t.equal(hex(session.render(frame)), '');
  clock.restore();
  t.capture(Date, 'now', () => at(23));
  t.match(hex(session.render(frame)), '03 51 0d 00 00', 'the same frame at night');
});

t.test('roles of the config go before those of the preset, one by one', async (t) => {
  const { roles } = panelDriver(config({ preset: 'nanokontrol2', roles: { arm: 'play' } })).spec;
  t.match(roles, { arm: 'play', undo: 'rewind', lock: 'cycle' });
});
