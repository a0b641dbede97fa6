import fc from 'fast-check';
import t from 'tap';
import { exitCodeOf } from '../../daemon/commands/doctor.ts';
import { type Report, reportJson, reportText } from '../../daemon/commands/doctor-text.ts';
import { areas, type Check, nothingFound } from '../../daemon/hw/doctor/report.ts';

const check = (more: Partial<Check>): Check => ({
  area: 'i2c',
  name: 'bus 1',
  result: 'ok',
  found: 'nothing answers',
  remedy: null,
  ...more,
});
const reportOf = (...checks: Check[]): Report => ({
  ok: checks.every(({ result }) => result !== 'fault'),
  checks,
  found: nothingFound,
});
const drawn = (columns: number, ...checks: Check[]) =>
  reportText(reportOf(...checks), { isColoured: false, columns });

t.test('a table by area, the remedy below', async (t) => {
  const wiring = 'Check wiring, pull-ups and the length of the cable.';
  const text = drawn(
    64,
    check({ area: 'gateway', name: 'connection', result: 'skipped', found: 'no config names one' }),
    check({}),
    check({ name: 'ht16k33 at 0x70', result: 'fault', found: 'does not answer', remedy: wiring }),
    check({ name: 'seesaw-quad-encoder at 0x49', result: 'fault', found: 'is silent', remedy: wiring }),
    check({ area: 'gpio', name: 'line 9', result: 'warning', found: 'belongs to SPI', remedy: 'Another.' }),
  );
  t.equal(
    text,
    `i2c
  ok    bus 1            nothing answers
  FAIL  ht16k33 at 0x70  does not answer
                         -> Check wiring, pull-ups and the
                            length of the cable.
  FAIL  seesaw-quad-encoder at 0x49
                         is silent
                         -> as above

gpio
  warn  line 9           belongs to SPI
                         -> Another.

gateway
  skip  connection       no config names one

2 faults, 1 warning, 1 ok, 1 skipped.
`,
  );
});

t.test('"as above" is what stands above, and never in another area', async (t) => {
  const fault = (remedy: string, area: Check['area'] = 'i2c') => check({ area, result: 'fault', remedy });
  const text = drawn(80, fault('First.'), fault('Second.'), fault('First.'), fault('First.', 'gpio'));
  t.notMatch(text, 'as above');
  t.match(drawn(80, fault('First.'), check({}), fault('First.')), 'as above', 'what is well does not count');
});

t.test('colours only where they are wanted; marks say the same', async (t) => {
  const report = reportOf(check({ result: 'fault', remedy: 'Do it.' }), check({}));
  const colours = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
  const coloured = reportText(report, { isColoured: true, columns: 80 });
  t.equal(coloured.match(colours)?.length, 4);
  t.equal(coloured.replaceAll(colours, ''), reportText(report, { isColoured: false, columns: 80 }));
});

const anyCheck = fc.record({
  area: fc.constantFrom(...areas),
  name: fc.string({ maxLength: 40 }).map((rest) => `n${rest}`),
  result: fc.constantFrom('ok', 'warning', 'fault', 'skipped'),
  found: fc.string({ unit: 'binary', maxLength: 120 }),
  remedy: fc.option(fc.lorem({ maxCount: 20 })),
}) satisfies fc.Arbitrary<Check>;

t.test('any report: no control character, one line a check at least, all counted', async () => {
  fc.assert(
    fc.property(
      fc.array(anyCheck, { maxLength: 12 }),
      fc.integer({ min: 20, max: 200 }),
      (checks, columns) => {
        const text = drawn(columns, ...checks);
        const marked = text.match(/^ {2}(?:ok {2}|warn|FAIL|skip) {2}/gm)?.length ?? 0;
        return marked === checks.length && !/[\p{Cc}\p{Cf}]/u.test(text.replaceAll('\n', ''));
      },
    ),
  );
});

t.test('lines are no longer than the window as far as words allow', async () => {
  const words = fc.lorem({ maxCount: 30 });
  const plain = fc.record({
    area: fc.constantFrom(...areas),
    name: words,
    result: fc.constant('fault' as const),
    found: words,
    remedy: words,
  });
  fc.assert(
    fc.property(fc.array(plain, { maxLength: 8 }), (checks) => {
      // A name is one piece.
      const short = checks.map((one) => ({ ...one, name: one.name.slice(0, 60) }));
      return drawn(80, ...short)
        .split('\n')
        .every((line) => line.length <= 80);
    }),
  );
});

t.test('JSON: the whole report, addresses as people write them', async (t) => {
  const bus = { bus: 1, path: '/dev/i2c-1', adapter: null, clockHz: null, isBitBanged: false };
  const report: Report = {
    ...reportOf(check({})),
    found: {
      ...nothingFound,
      buses: [{ ...bus, addresses: [{ address: 0x2e, presence: 'answers', mayBe: ['neotrellis'] }] }],
    },
  };
  const text = reportJson(report);
  t.ok(text.endsWith('}\n'));
  const read = JSON.parse(text);
  t.equal(read.found.buses[0].addresses[0].address, '0x2E');
  read.found.buses[0].addresses[0].address = 0x2e;
  t.same(read, report);
});

t.test('exit codes', async (t) => {
  t.equal(exitCodeOf(reportOf(check({}), check({ result: 'warning' }), check({ result: 'skipped' }))), 0);
  t.equal(exitCodeOf(reportOf(check({ result: 'fault' }), check({ area: 'config' }))), 1);
  t.equal(exitCodeOf(reportOf(check({ result: 'fault', area: 'config' }), check({ result: 'fault' }))), 2);
});
