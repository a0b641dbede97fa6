import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import t, { type Test } from 'tap';
import { type CalibrateOptions, calibrate, type OnLevel } from '../../daemon/commands/calibrate.ts';
import { readCalibration } from '../../daemon/config/calibration.ts';

/** A terminal, a panel and somebody who moves its faders. */
class Bench {
  readonly input = new PassThrough();
  readonly abort = new AbortController();
  readonly file: string;
  readonly isTTY: boolean;
  shown = '';
  /** How often the panel was opened and closed again. */
  opened = 0;
  closed = 0;
  onLevel: OnLevel = () => {};
  readonly #ready: Promise<void>;
  #setReady: () => void = () => {};
  #at = 0;

  constructor(t: Test, files: Record<string, string>, isTTY: boolean) {
    this.file = path.join(t.testdir(files), 'calibration.yaml');
    this.isTTY = isTTY;
    this.#ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
  }

  async run(options: Partial<CalibrateOptions>, act: () => void) {
    const done = calibrate(
      { file: this.file, faders: ['fader1', 'fader2'], controls: [], output: 'text', ...options },
      {
        watchLevels: async (onLevel) => {
          this.opened++;
          this.onLevel = onLevel;
          this.#setReady();
          return async () => {
            this.closed++;
          };
        },
        input: this.input,
        screen: { write: (text) => (this.shown += text), isTTY: this.isTTY },
        signal: this.abort.signal,
      },
    );
    await this.#ready;
    act();
    return done;
  }

  move(control: string, ...places: number[]): void {
    for (const place of places)
      for (let count = 0; count < 20; count++) {
        this.#at += 10;
        this.onLevel(control, place, this.#at);
      }
  }
}
const head = 'apiVersion: surfaced.dev/v1alpha1\nkind: Calibration\n';
const old = {
  'calibration.yaml': `${head}faders:\n  fader2: { low: 0.1, high: 0.5 }\n  elsewhere: { low: 1, high: 0 }\n`,
};

t.test('it ends by itself when every fader has been at both ends twice', async (t) => {
  const bench = new Bench(t, old, false);
  const { text, isWritten } = await bench.run({}, () => {
    bench.move('fader1', 0, 1, 0, 1, 0);
    bench.move('fader2', 0.2, 0.8, 0.2, 0.8, 0.2);
  });
  t.ok(isWritten);
  t.equal(
    text,
    `fader1: low 0.0039, high 0.9961\nfader2: low 0.2039, high 0.7961\nWritten to ${bench.file}; a running device reads it when it is started again.\n`,
  );
  t.same(
    [...(await readCalibration(bench.file))].map(([name, { low }]) => [name, low]),
    [
      ['elsewhere', 1],
      ['fader1', 0.0039],
      ['fader2', 0.2039],
    ],
  );
  t.same([bench.opened, bench.closed], [1, 1]);
});

t.test('without a terminal each step is a line', async (t) => {
  const bench = new Bench(t, {}, false);
  await bench.run({ controls: ['fader1'] }, () => {
    bench.move('fader2', 0, 1);
    bench.move('fader1', 0, 1, 0, 1, 0);
  });
  t.equal(
    bench.shown,
    `Move the fader from one end to the other and back, 2 times, and wait a moment at each end.
Enter ends it early, Ctrl-C leaves everything as it was.

fader1  low  -     high  -     no reading yet
fader1  low  -     high  -     low end 0 of 2, high end 0 of 2
fader1  low 0.000  high 1.000  low end 0 of 2, high end 1 of 2
fader1  low 0.000  high 1.000  low end 1 of 2, high end 1 of 2
fader1  low 0.000  high 1.000  low end 1 of 2, high end 2 of 2
fader1  low 0.000  high 1.000  done
`,
  );
});

t.test('in a terminal the lines change in place', async (t) => {
  const bench = new Bench(t, {}, true);
  await bench.run({}, () => {
    bench.move('fader1', 0.5, 1);
    bench.input.write('\n');
  });
  const shown = bench.shown.replaceAll('\u001b', 'ESC');
  t.match(
    shown,
    /fader1 {2}\[\.{15}={14}#\] {2}low 0\.500 {2}high 1\.000 {2}low end 0 of 2, high end 1 of 2ESC\[K\n/,
  );
  t.match(shown, /fader2 {2}\[\.{30}\] {2}low {2}- {5}high {2}- {5}no reading yetESC\[K\n$/);
  t.match(shown, /ESC\[K\nESC\[2Afader1/, 'two lines up');
  const pictures = shown.split('ESC[2A').length;
  t.ok(pictures <= 6, `${pictures} pictures in 400 ms`);
});

t.test('Enter ends it early: what was moved far enough counts, the rest stays', async (t) => {
  const bench = new Bench(t, old, false);
  const { text, isWritten } = await bench.run({ output: 'json' }, () => {
    bench.move('fader1', 0.1, 0.9);
    bench.move('fader2', 0.5, 0.55);
    bench.input.write('\n');
  });
  t.ok(isWritten);
  t.same(JSON.parse(text), {
    file: bench.file,
    isWritten: true,
    calibrated: { fader1: { low: 0.1039, high: 0.8961 } },
    rejected: [
      { control: 'fader2', reason: 'moved over 5 % of its scale, too little: at least 21 % are needed' },
    ],
  });
  t.match(await readFile(bench.file, 'utf8'), / {2}fader2:\n {4}low: 0\.1\n {4}high: 0\.5\n/);
});

t.test('nothing is written when it is given up, or nothing was moved', async (t) => {
  const bench = new Bench(t, old, false);
  const aborted = await bench.run({}, () => {
    bench.move('fader1', 0, 1);
    bench.abort.abort();
  });
  t.same(aborted, { text: 'Nothing was written.\n', isWritten: false });
  const unmoved = new Bench(t, old, false);
  const result = await unmoved.run({}, () => {
    unmoved.input.end();
    unmoved.move('fader1', 0.5);
    unmoved.input.emit('data', '\n');
  });
  t.notOk(result.isWritten);
  t.match(
    result.text,
    /^fader1: left as it was: moved over 0 %.*\nfader2: left as it was: no readings\nNothing was written\.\n$/,
  );
  for (const each of [bench, unmoved]) {
    t.equal(await readFile(each.file, 'utf8'), old['calibration.yaml']);
    t.same([each.opened, each.closed], [1, 1]);
  }
  const early = new Bench(t, {}, false);
  early.abort.abort();
  const never = calibrate(
    { file: early.file, faders: ['f'], controls: [], output: 'json' },
    {
      watchLevels: () => Promise.reject(new Error('opened')),
      input: early.input,
      screen: { write: () => {} },
      signal: early.abort.signal,
    },
  );
  t.match(JSON.parse((await never).text), { isWritten: false, calibrated: {}, rejected: [] });
});

t.test('what cannot be done is said before the panel is opened', async (t) => {
  const bench = new Bench(t, { 'calibration.yaml': 'nonsense' }, false);
  const io = {
    watchLevels: () => Promise.reject(new Error('no panel')),
    input: bench.input,
    screen: { write: () => {} },
    signal: bench.abort.signal,
  };
  const options = { file: bench.file, faders: ['f'], controls: [], output: 'text' } as const;
  await t.rejects(calibrate({ ...options, faders: [] }, io), { code: 'E_USAGE', message: /no faders/ });
  await t.rejects(calibrate({ ...options, controls: ['g', 'f'] }, io), {
    code: 'E_USAGE',
    message: 'control: g: no such fader; this panel has f',
  });
  await t.rejects(calibrate(options, io), { code: 'E_HW_CALIBRATION' });
  await t.rejects(calibrate({ ...options, file: `${bench.file}2` }, io), { message: 'no panel' });
  await t.rejects(calibrate({ ...options, file: path.join(bench.file, '../none/f.yaml') }, io), {
    code: 'E_HW_CALIBRATION',
    message: /f\.yaml: cannot be written \(ENOENT\)/,
  });
  t.equal(bench.input.listenerCount('data'), 0, 'and nothing is read any more');
});
