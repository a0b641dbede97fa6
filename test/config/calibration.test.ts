import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import {
  assertWritable,
  type Calibration,
  leastSpan,
  parseCalibration,
  readCalibration,
  writeCalibration,
} from '../../daemon/config/calibration.ts';
import { SurfacedError } from '../../daemon/errors.ts';

const head = 'apiVersion: surfaced.dev/v1alpha1\nkind: Calibration\n';
const good = `${head}faders:\n  fader1: { low: 0.01, high: 0.99 }\n  upside-down: { low: 0.9, high: 0.1 }\n`;

t.test('a file is read, one that is not there is empty', async (t) => {
  const folder = t.testdir({ 'calibration.yaml': good });
  const calibration = await readCalibration(path.join(folder, 'calibration.yaml'));
  t.same(
    [...calibration],
    [
      ['fader1', { low: 0.01, high: 0.99 }],
      ['upside-down', { low: 0.9, high: 0.1 }],
    ],
  );
  t.equal((await readCalibration(path.join(folder, 'nothing.yaml'))).size, 0);
  t.equal(parseCalibration(`${head}faders: {}\n`, 'x').size, 0);
  t.equal(parseCalibration(`${head}faders: { __proto__: { low: 0, high: 1 } }`, 'x').size, 0);
});

t.test('what is wrong is named, with the file and the field', async (t) => {
  const wrong = (text: string, message: RegExp) =>
    t.throws(() => parseCalibration(text, 'c.yaml'), { code: 'E_HW_CALIBRATION', message }, `${message}`);
  wrong(
    `${head}faders: { f: { low: 0.1, high: 1.5 } }`,
    /^c\.yaml: faders\.f\.high: expected at most 1, got 1\.5$/,
  );
  wrong(`${head}faders: { f: { low: .nan, high: 1 } }`, /faders\.f\.low: expected a? ?number/);
  wrong(
    `${head}faders: { f: { low: 0.4, high: 0.5 } }`,
    /faders\.f: expected at least 0\.2 between low and high/,
  );
  wrong(
    `${head}faders: { f: { low: 0, high: 1, mid: 0.5 } }`,
    /faders\.f\.mid: unknown field; known here: low, high$/,
  );
  wrong(`${head}faders: { f: { low: 0 } }`, /faders\.f\.high: expected number, got nothing/);
  wrong(`${head}faders: { 'F 1': { low: 0, high: 1 } }`, /faders\.F 1: /);
  wrong(`${head}faders: []`, /faders: expected/);
  wrong('kind: Calibration\nfaders: {}', /apiVersion: expected "surfaced/);
  wrong('kind: Device\nfaders: {}', /kind: expected "Calibration", got "Device"/);
  wrong('', /expected one document, got 0/);
  wrong(`${good}---\n${good}`, /expected one document, got 2/);
  wrong(
    `${head}faders:\n  f: { low: 0, high: 1 }\n  f: { low: 0, high: 1 }\n`,
    /c\.yaml: 5:3 Map keys must be unique/,
  );
  wrong(`${head}faders: { f: &a { low: 0, high: 1 }, g: *a }`, /alias/i);
  wrong('['.repeat(100_000), /nested deeper/);
  wrong(
    `${head}faders: {${Array.from({ length: 257 }, (_, index) => `f${index}: {low: 0, high: 1}`)}}`,
    /at most 256 faders/,
  );
});

t.test('a file that cannot be read is no empty one', async (t) => {
  const folder = t.testdir({ 'binary.yaml': '', here: {} });
  await writeFile(path.join(folder, 'binary.yaml'), Buffer.from([0xff, 0xfe]));
  const rejects = (name: string, message: RegExp) =>
    t.rejects(readCalibration(path.join(folder, name)), {
      code: 'E_HW_CALIBRATION',
      class: 'usage',
      message,
    });
  await rejects('binary.yaml', /binary\.yaml: not UTF-8/);
  await rejects('here', /here: cannot be read \(EISDIR\)/);
});

t.test('whatever text it is, it is read or refused with the code', async (t) => {
  const text = fc.oneof(
    fc.string(),
    fc.string().map((rest) => `${head}faders: ${rest}`),
    fc.json().map((rest) => `${head}faders: ${rest}`),
  );
  fc.assert(
    fc.property(text, (input) => {
      try {
        for (const { low, high } of parseCalibration(input, 'x').values())
          if (!(Math.abs(high - low) >= leastSpan)) throw new Error('too near');
      } catch (error) {
        if (!(error instanceof SurfacedError) || error.code !== 'E_HW_CALIBRATION') throw error;
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});

t.test('what is written is read again', async (t) => {
  const folder = t.testdir();
  const file = path.join(folder, 'calibration.yaml');
  const end = fc.double({ min: 0, max: 1, noNaN: true });
  const name = fc.stringMatching(/^[a-z0-9-]{1,32}$/);
  const ends = fc
    .record({ low: end, high: end })
    .filter(({ low, high }) => Math.abs(high - low) >= leastSpan);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(name, ends), { selector: ([key]) => key, maxLength: 8 }),
      async (entries) => {
        const calibration: Calibration = new Map(entries);
        await writeCalibration(file, calibration);
        const read = await readCalibration(file);
        if (read.size !== calibration.size) throw new Error(`${read.size} faders`);
        for (const [key, { low, high }] of calibration) {
          const found = read.get(key);
          // YAML has no negative zero.
          if (found?.low !== low + 0 || found?.high !== high + 0) throw new Error(key);
        }
      },
    ),
    { numRuns: 40 },
  );
  t.same(await readdir(folder), ['calibration.yaml'], 'nothing is left beside it');
  t.equal((await stat(file)).mode & 0o777, 0o644, 'the device may run as another user');
});

t.test('the file is for people as well, and in order', async (t) => {
  const file = path.join(t.testdir(), 'calibration.yaml');
  await writeCalibration(file, new Map(['b', 'a'].map((name) => [name, { low: 0.5, high: 1 }])));
  t.equal(
    await readFile(file, 'utf8'),
    `# Ends of the faders, written by surfaced calibrate.\n${head}faders:\n  a:\n    low: 0.5\n    high: 1\n  b:\n    low: 0.5\n    high: 1\n`,
  );
});

t.test('a file that cannot be written stays as it was', async (t) => {
  const folder = t.testdir({ 'calibration.yaml': good, away: {} });
  const file = path.join(folder, 'calibration.yaml');
  const one = new Map([['a', { low: 0, high: 1 }]]);
  await t.rejects(writeCalibration(file, new Map([['a', { low: 0, high: 0.1 }]])), {
    code: 'E_HW_CALIBRATION',
  });
  await t.rejects(writeCalibration(path.join(folder, 'away'), one), {
    code: 'E_HW_CALIBRATION',
    message: /EISDIR|EEXIST/,
  });
  await t.rejects(writeCalibration(path.join(folder, 'no', 'c.yaml'), one), {
    code: 'E_HW_CALIBRATION',
    message: /cannot be written \(ENOENT\)/,
  });
  t.equal(await readFile(file, 'utf8'), good);
  t.same((await readdir(folder)).sort(), ['away', 'calibration.yaml']);
});

t.test('a link stays a link', async (t) => {
  const folder = t.testdir({ here: {} });
  const [link, file] = [path.join(folder, 'link.yaml'), path.join(folder, 'there', 'real.yaml')];
  await mkdir(path.dirname(file));
  await writeFile(file, good);
  await chmod(file, 0o600);
  await symlink(file, link);
  await writeCalibration(link, new Map([['a', { low: 0, high: 1 }]]));
  t.ok((await lstat(link)).isSymbolicLink());
  t.same([...(await readCalibration(file)).keys()], ['a']);
});

t.test(
  'a link to what is not there yet makes it there, where the folder of the link cannot be written',
  async (t) => {
    const folder = t.testdir({ etc: {}, data: {} });
    const [first, link] = [path.join(folder, 'first.yaml'), path.join(folder, 'etc', 'calibration.yaml')];
    await symlink('../data/calibration.yaml', link);
    await symlink('etc/calibration.yaml', first);
    await assertWritable(first);
    await writeCalibration(first, new Map([['a', { low: 0, high: 1 }]]));
    t.same(await readdir(path.join(folder, 'data')), ['calibration.yaml']);
    t.same(await readdir(path.join(folder, 'etc')), ['calibration.yaml']);
    t.ok((await lstat(link)).isSymbolicLink());
    t.same([...(await readCalibration(first)).keys()], ['a']);
    await symlink('../no/calibration.yaml', path.join(folder, 'etc', 'nowhere.yaml'));
    await t.rejects(assertWritable(path.join(folder, 'etc', 'nowhere.yaml')), {
      code: 'E_HW_CALIBRATION',
      message: /nowhere\.yaml: cannot be written \(ENOENT\)/,
    });
    await symlink('loop.yaml', path.join(folder, 'loop.yaml'));
    await t.rejects(assertWritable(path.join(folder, 'loop.yaml')), { message: /ELOOP/ });
  },
);
