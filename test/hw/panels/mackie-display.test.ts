import t from 'tap';
import { MackieDisplay } from '../../../daemon/hw/panels/mackie-display.ts';
import { frameOf, type ShortFrame } from './frames.ts';
import { Lights } from './lights.ts';

/** What the display says, as eight pairs of name and status. */
function shown(short: ShortFrame): [top: string, bottom: string][] {
  const lights = new Lights();
  lights.take(new MackieDisplay().show(frameOf(short)));
  return Array.from({ length: 8 }, (_, column) => [
    lights.text.slice(7 * column, 7 * column + 7).trimEnd(),
    lights.text.slice(56 + 7 * column, 56 + 7 * column + 7).trimEnd(),
  ]);
}

const ok = { state: 'ok', reason: '', message: '' } as const;

t.test('one line about a strip, the most urgent first', async (t) => {
  const arming = { want: 0, guards: ['zero'] as const, remainingMs: 1000, held: 0 };
  const notice = { phase: 'denied', code: 'Forbidden', text: 'RBAC says no' } as const;
  const cases: [expected: string, strip: NonNullable<ShortFrame['strips']>[number]][] = [
    ['3/3', {}],
    ['2/5', { ready: 2, desired: 5 }],
    ['0/?', { ready: 0, desired: null }],
    ['3>8', { wanted: 8 }],
    ['3/3', { wanted: 3 }],
    ['^ 3/3', { hint: 'up' }],
    ['v 3/3', { hint: 'down', wanted: 8 }],
    ['missing', { condition: { ...ok, state: 'missing' }, hint: 'up' }],
    ['denied', { condition: { ...ok, state: 'denied' } }],
    ['no API', { condition: { ...ok, state: 'unreachable' } }],
    ['QuotaEx', { condition: { ...ok, state: 'blocked', reason: 'QuotaExceeded' } }],
    ['Forbidd', { notice, condition: { ...ok, state: 'missing' } }],
    ['converg', { notice: { phase: 'converged', code: '', text: '' } }],
    ['ARM 0?', { arming, notice }],
    ['1000/10', { ready: 1000, desired: 1000 }],
  ];
  for (const [expected, strip] of cases) t.equal(shown({ strips: [strip] })[0]?.[1], expected);
});

t.test('names', async (t) => {
  const columns = shown({
    strips: [
      { control: 'fader1', name: 'checkout' },
      { control: 'encoder1', name: 'under' },
      { control: 'encoder8', name: 'küche' },
      { control: 'jog', name: 'nowhere' },
    ],
  });
  t.equal(columns[0]?.[0], 'checko', 'six characters, the fader before the encoder in its column');
  t.equal(columns[7]?.[0], 'k?che', 'ASCII only');
  t.same(
    columns.slice(1, 7),
    Array.from({ length: 6 }, () => ['', '']),
  );
});

t.test('the link', async (t) => {
  const strips = [{ name: 'cart' }];
  t.same(shown({ strips, link: { isAttested: false } })[7], ['NOT', 'ATTEST.'], 'not attested');
  const offline = shown({ strips, link: { state: 'offline', detail: 'no route to gateway' } });
  t.match(offline.map(([top]) => top.padEnd(7)).join(''), /^OFFLINE: no route to gateway *$/);
  t.equal(offline[0]?.[1], '3/3', 'the last known numbers stay below');
  const long = shown({ strips, link: { state: 'stale', detail: 'x'.repeat(500) } });
  t.match(long.map(([top]) => top).join(''), /^STALE:x{49}$/, 'cut to the row');
});
