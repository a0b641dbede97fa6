import fc from 'fast-check';
import t from 'tap';
import { quietMs, Rest } from '../../../daemon/bridge/link/rest.ts';
import {
  longestWaitMs,
  type MachineState,
  type UpdateMachine,
  Updater,
  type WantedUpdate,
} from '../../../daemon/bridge/link/updater.ts';
import { type UpdateReport, updateReport } from '../../../daemon/bridge/wire/messages.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import { FakeTime } from '../gateway/bed.ts';

class PaperMachine implements UpdateMachine {
  state: MachineState = { state: 'idle', version: null, detail: '' };
  readonly installs: WantedUpdate[] = [];
  restarts = 0;
  problem: Error | null = null;
  #listener = (): void => {};
  onChange(listener: () => void): void {
    this.#listener = listener;
  }
  async install(wanted: WantedUpdate): Promise<void> {
    if (this.problem) throw this.problem;
    this.installs.push(wanted);
    this.is('installing', wanted.version);
  }
  async restart(): Promise<void> {
    if (this.problem) throw this.problem;
    this.restarts++;
  }
  is(state: MachineState['state'], version: string | null = '1.1.0', detail = ''): void {
    this.state = { state, version, detail };
    this.#listener();
  }
}

function bench(version = '1.0.0') {
  const machine = new PaperMachine();
  const time = new FakeTime();
  const rest = { is: true };
  const reports: UpdateReport[] = [];
  const updater = new Updater({
    machine,
    version,
    now: () => time.monotonic(),
    timers: time,
    log: silentLog,
    isAtRest: () => rest.is,
    report: (report) => reports.push(report),
  });
  updater.start();
  const want = (wanted: string) =>
    updater.want({ version: wanted, manifestSha256: 'ab'.repeat(32), caPem: 'pem' });
  return { machine, time, rest, reports, updater, want, last: () => reports.at(-1) };
}

t.test(
  'a wish is handed on once, told at each step, and ends in one restart when nobody is there',
  async (t) => {
    const { machine, time, rest, reports, want, last } = bench();
    t.match(last(), { state: 'idle' }, 'told at once');
    rest.is = false;
    await want('1.1.0');
    await want('1.1.0');
    t.match(machine.installs, [{ version: '1.1.0', caPem: 'pem' }]);
    machine.is('installing', '1.1.0', '40 %');
    t.match(last(), { state: 'installing', version: '1.1.0', detail: '40 %' });
    machine.is('installed');
    await time.advance(longestWaitMs - 2000);
    t.equal(machine.restarts, 0, 'a hand is on it');
    t.match(last(), { state: 'restarting', detail: 'waits until nobody uses it' });
    rest.is = true;
    await time.advance(1000);
    t.equal(machine.restarts, 1);
    machine.is('installed');
    await time.advance(60_000);
    t.equal(machine.restarts, 1, 'and no second one');
    t.ok(reports.every((report) => updateReport.safeParse(report).success));
  },
);

t.test('a panel that never rests is restarted all the same, after ten minutes', async (t) => {
  const { machine, time, rest } = bench();
  rest.is = false;
  machine.is('installed');
  await time.advance(longestWaitMs - 1000);
  t.equal(machine.restarts, 0);
  await time.advance(2000);
  t.equal(machine.restarts, 1);
});

t.test('what is older, no version, under way or elsewhere is not begun', async (t) => {
  const { machine, want, last } = bench();
  await want('0.9.0');
  t.match(last(), { state: 'failed', version: '0.9.0', detail: /older than 1\.0\.0/ });
  await want('1.0.0');
  t.match(last(), { state: 'failed' }, 'nothing to be done for what runs');
  for (const state of ['trial', 'installed', 'installing', 'unsupported'] as const) {
    machine.is(state, '1.0.5');
    await want('1.1.0');
    t.match(last(), { state: state === 'installed' ? 'restarting' : state, version: '1.0.5' });
  }
  t.same(machine.installs, []);
  const odd = bench('dev');
  await odd.want('1.1.0');
  t.match(odd.last(), { state: 'failed', detail: /calls itself dev/ });
  machine.is('failed', '1.1.0', 'left again');
  await want('1.1.0');
  t.equal(machine.installs.length, 1, 'after a failure it may be wished again');
});

t.test('a machine that cannot be asked is told of', async (t) => {
  const { machine, time, want, last } = bench();
  machine.problem = new SurfacedError(
    'E_UPDATE_REQUEST',
    `/run/x: cannot be written (EACCES)${'x'.repeat(500)}`,
  );
  await want('1.1.0');
  t.match(last(), { state: 'failed', version: '1.1.0', detail: /E_UPDATE_REQUEST.*EACCES/ });
  t.equal(last()?.detail.length, 256);
  machine.is('installed');
  await time.advance(1000);
  t.match(last(), { state: 'failed' }, 'nor restarted');
});

t.test('a panel rests when no control is held and nothing has moved for a while', async (t) => {
  const rest = new Rest();
  t.ok(rest.isQuiet(0));
  rest.take({ type: 'position', control: 'fader1', value: 0.5 }, 0);
  t.notOk(rest.isQuiet(quietMs - 1));
  t.ok(rest.isQuiet(quietMs));
  rest.take({ type: 'touch', control: 'fader1', isTouched: true }, 0);
  rest.take({ type: 'press', control: 'row1', index: 3 }, 0);
  t.notOk(rest.isQuiet(10 * quietMs));
  rest.take({ type: 'release', control: 'row1', index: 2 }, 0);
  rest.take({ type: 'touch', control: 'fader1', isTouched: false }, 0);
  t.notOk(rest.isQuiet(10 * quietMs), 'another pad of the row is still held');
  rest.take({ type: 'reset', controls: ['row1'] }, 0);
  t.ok(rest.isQuiet(10 * quietMs), 'what is lost is held by nobody');
  rest.take({ type: 'press', control: 'arm' }, 0);
  rest.take({ type: 'reset', controls: null }, 0);
  rest.take({ type: 'link', state: 'online', detail: '', isAttested: true, fault: null }, 5 * quietMs);
  t.ok(rest.isQuiet(5 * quietMs), 'the network is no hand');
});

t.test(
  'whatever a machine goes through, it restarts only into what is installed, once each time',
  async () => {
    const states = fc.constantFrom(
      'unsupported',
      'idle',
      'installing',
      'installed',
      'trial',
      'failed',
    ) as fc.Arbitrary<MachineState['state']>;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(states, fc.integer({ min: 0, max: 700_000 })), { maxLength: 20 }),
        async (all) => {
          const { machine, time, rest, reports } = bench();
          let installed = 0;
          for (const each of all) {
            if (typeof each === 'number') {
              rest.is = each % 2 === 0;
              await time.advance(each);
            } else {
              if (each === 'installed' && machine.state.state !== 'installed') installed++;
              machine.is(each);
            }
            if (machine.restarts > installed) return false;
          }
          return reports.every((report) => updateReport.safeParse(report).success);
        },
      ),
      { numRuns: 50 },
    );
  },
);
