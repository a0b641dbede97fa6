/** The log over restarts of a machine whose TPM is not reset by them. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { bankDigest } from '../../../daemon/attest/logs/log.ts';
import {
  fileMeasurement,
  type NewMeasurement,
  restartMeasurement,
} from '../../../daemon/attest/logs/measure-log.ts';
import { Replay } from '../../../daemon/attest/logs/replay.ts';
import { carriedLog } from '../../../daemon/attest/measure/carry.ts';
import { measure } from '../../../daemon/attest/measure/measure.ts';
import { mostSavedBytes, readSavedLog, saveLog } from '../../../daemon/attest/measure/saved-log.ts';
import { readLog } from '../../../daemon/attest/measure/standing.ts';
import { algorithm, extendPcr, type HashName, Tpm } from '../../../daemon/attest/tpm2/index.ts';
import { swtpm } from '../../../daemon/attest/tpm2/transports/swtpm.ts';
import { beginSoftwareTpm, type SoftwareTpm, withoutSwtpm } from '../tpm2/live/swtpm.ts';

const banks: readonly HashName[] = ['sha256', 'sha384'];
const never = new AbortController().signal;

/** Files by their names, a restart where the name is `restart`. */
function logOf(names: readonly string[], pcr = 14): { bytes: Buffer; made: NewMeasurement[] } {
  const made = names.map((name, recnum) =>
    name === 'restart'
      ? restartMeasurement({ pcr, banks, recnum })
      : fileMeasurement({
          path: `/${name}`,
          sha256: bankDigest('sha256', Buffer.from(name)),
          pcr,
          banks,
          recnum,
        }),
  );
  return { bytes: Buffer.concat(made.map(({ bytes }) => bytes)), made };
}

/** What a TPM holds that was extended with these. */
function registersOf(...made: readonly NewMeasurement[]) {
  const replay = new Replay(banks, null);
  for (const { digests } of made) replay.extend(14, digests);
  return new Map(banks.map((bank) => [bank, new Map([[14, replay.value(bank, 14)]])]));
}

const namesIn = (bytes: Buffer): string[] =>
  readLog(bytes, false).records.map(({ content }) =>
    content.kind === 'file' ? content.path.slice(1) : content.kind,
  );

t.test('any saved log of which the TPM has a beginning, and what was measured since', async (t) => {
  const name = fc.constantFrom('a', 'b', 'c', 'restart');
  const some = fc.array(name, { maxLength: 8 });
  const result = fc.check(
    fc.property(some, fc.nat(), fc.option(some), (before, cut, since) => {
      const saved = logOf(before);
      const extended = saved.made.slice(0, cut % (before.length + 1));
      const fresh = logOf(since === null ? [] : ['restart', ...since]);
      const registers = registersOf(...extended, ...fresh.made);
      const carried = carriedLog({ saved: saved.bytes, fresh: fresh.bytes, registers, pcr: 14 });
      if (extended.length === 0) return carried.kind === 'refused';
      if (carried.kind === 'refused') return false;
      const names = [...before.slice(0, extended.length), ...(since === null ? [] : ['restart', ...since])];
      const prefix = Buffer.concat(extended.map(({ bytes }) => bytes));
      return (
        namesIn(carried.bytes).join() === names.join() &&
        carried.bytes.subarray(0, prefix.length).equals(prefix) &&
        carried.log.end.bytes === carried.bytes.length
      );
    }),
    { numRuns: 300 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});

t.test('what does not explain the PCR exactly is refused', async (t) => {
  const saved = logOf(['a', 'b']);
  const fresh = logOf(['restart', 'a']);
  const good = registersOf(...saved.made, ...fresh.made);
  const refusal = (change: Partial<Parameters<typeof carriedLog>[0]>) => {
    const carried = carriedLog({
      saved: saved.bytes,
      fresh: fresh.bytes,
      registers: good,
      pcr: 14,
      ...change,
    });
    return carried.kind === 'refused' ? carried.why : null;
  };
  t.equal(refusal({}), null);
  t.match(refusal({ saved: Buffer.alloc(0) }), /is empty/);
  t.match(refusal({ saved: logOf(['a', 'c']).bytes }), /does not explain/);
  t.match(refusal({ saved: logOf(['a', 'b'], 15).bytes }), /has records of PCR 15, too/);
  const unmarked = logOf(['a']);
  const held = registersOf(...saved.made, ...unmarked.made);
  t.match(refusal({ fresh: unmarked.bytes, registers: held }), /does not begin with the restart/);
  const oneBank = new Map([...good, ['sha384', registersOf(...saved.made).get('sha384')!]] as const);
  t.match(refusal({ registers: oneBank }), /does not explain/, 'all banks count');
  const another = new Map([...good, ['sha512', new Map([[14, Buffer.alloc(64)]])]] as const);
  t.throws(() => refusal({ registers: another }), { code: 'E_ATTEST_LOG' });
  t.throws(() => refusal({ saved: saved.bytes.subarray(1, -3) }), { code: 'E_ATTEST_LOG' });
  const many = logOf(Array.from({ length: 258 }, (_, index) => `${index}`));
  t.match(
    refusal({ saved: many.bytes, fresh: Buffer.alloc(0), registers: registersOf(many.made[0]!) }),
    /not explain/,
  );
});

t.test('a saved file that is anything: the one error, and never more of it than may be', async (t) => {
  const folder = t.testdir({
    folder: {},
    large: Buffer.alloc(mostSavedBytes + 1),
    fits: Buffer.alloc(mostSavedBytes),
  });
  const at = (name: string) => path.join(folder, name);
  symlinkSync(at('fits'), at('link'));
  t.equal(await readSavedLog(at('none')), null);
  t.equal((await readSavedLog(at('fits')))?.length, mostSavedBytes);
  for (const name of ['folder', 'large', 'link'])
    await t.rejects(
      readSavedLog(at(name)),
      { code: 'E_MEASURE', message: /the saved log cannot be read/ },
      name,
    );
  await t.rejects(readSavedLog('/dev/zero'), { code: 'E_MEASURE', message: /not a file/ });
  await t.rejects(saveLog(at('new'), Buffer.alloc(mostSavedBytes + 1)), {
    code: 'E_MEASURE',
    message: /cut the power/,
  });
  await t.rejects(saveLog(at('fits/new'), Buffer.from('x')), {
    code: 'E_MEASURE',
    message: /cannot be saved \(EEXIST\)/,
  });
  await saveLog(at('a/b/log'), Buffer.from('one'));
  const { ino } = statSync(at('a/b/log'));
  await saveLog(at('a/b/log'), Buffer.from('one'));
  t.equal(statSync(at('a/b/log')).ino, ino, 'what is there is not written again');
  await saveLog(at('a/b/log'), Buffer.from('two'));
  t.equal(readFileSync(at('a/b/log'), 'utf8'), 'two');
  t.equal(statSync(at('a/b/log')).mode & 0o777, 0o600);
  t.notOk(existsSync(at('a/b/log.new')));
});

/** A machine with a TPM that only a power cut resets. */
interface Bench {
  readonly chip: SoftwareTpm;
  readonly folder: string;
  readonly log: string;
  readonly saved: string;
  readonly run: (...names: string[]) => ReturnType<typeof measure>;
  /** By software: what is in memory is gone, the TPM goes on. */
  readonly restart: () => void;
}

function live(name: string, work: (t: Test, bench: Bench) => Promise<void>): void {
  t.test(name, { skip: withoutSwtpm }, async (t) => {
    const chip = await beginSoftwareTpm();
    const folder = t.testdir({ one: 'one', two: 'two', three: 'three' });
    const [log, saved] = [path.join(folder, 'run/measure.log'), path.join(folder, 'saved/measure.log')];
    const run = async (...names: string[]) => {
      const tpm = new Tpm({ transport: swtpm(chip.address) });
      try {
        const files = names.map((one) => path.join(folder, one));
        return await measure({ names: files, pcr: 14, log, saved, tpm }, never);
      } finally {
        await tpm.close();
      }
    };
    const restart = () => rmSync(path.dirname(log), { recursive: true, force: true });
    try {
      await work(t, { chip, folder, log, saved, run, restart });
    } finally {
      await chip.end();
    }
  });
}

const logged = ({ log }: Bench) => namesIn(readFileSync(log)).map((name) => path.basename(name));

live('where nothing measures before, the restart is extended here', async (t, bench) => {
  const { run, restart, folder } = bench;
  t.match(await run('one', 'two'), { carried: 0 });
  restart();
  writeFileSync(path.join(folder, 'two'), 'two of another version');
  const { carried, records } = await run('one', 'two');
  t.equal(carried, 2);
  t.same(
    records.map(({ isNew }) => isNew),
    [true, true],
  );
  t.same(logged(bench), ['one', 'two', 'restart', 'one', 'two']);
  t.same(
    (await run('one')).records.map(({ isNew }) => isNew),
    [false],
    'a service that starts again',
  );
  restart();
  t.match(await run('three'), { carried: 5 });
  t.same(logged(bench), ['one', 'two', 'restart', 'one', 'two', 'restart', 'three']);
  t.same(readFileSync(bench.saved), readFileSync(bench.log));
  await bench.chip.cutPower();
  restart();
  await bench.chip.start();
  t.match(await run('one'), { carried: 0 });
  t.same(logged(bench), ['one']);
  t.same(readFileSync(bench.saved), readFileSync(bench.log), 'what is not true any more is not kept');
});

live('saved and not extended: dropped from the end', async (t, bench) => {
  const { run, restart, saved } = bench;
  await run('one');
  const before = readFileSync(saved);
  await run('two', 'three');
  // As if the machine had ended before anything of the second call was extended: another TPM with the first alone.
  const whole = readFileSync(saved);
  await bench.chip.cutPower();
  restart();
  await bench.chip.start();
  await run('one');
  t.same(readFileSync(saved), before);
  writeFileSync(saved, whole);
  restart();
  t.match(await run('one'), { carried: 1 });
  t.same(logged(bench), ['one', 'restart', 'one']);
});

live('extended and not saved, or spoilt: refused until the power is cut', async (t, bench) => {
  const { run, restart, saved, log, chip } = bench;
  await run('one');
  const good = readFileSync(saved);
  const wrong = (message: RegExp) => ({ code: 'E_MEASURE', message });
  const refusals: readonly [string, () => void, RegExp][] = [
    ['gone', () => {}, /there is no .*saved\/measure\.log\)\. Cut the power/],
    ['empty', () => writeFileSync(saved, ''), /it is empty/],
    ['noise', () => writeFileSync(saved, Buffer.alloc(5000, 0xa5)), /record/],
    ['huge', () => writeFileSync(saved, Buffer.alloc(mostSavedBytes + 1, 10)), /more than 1048576 bytes/],
    ['torn', () => writeFileSync(saved, good.subarray(0, -1)), /no end within/],
    ['a folder', () => mkdirSync(saved), /the saved log cannot be read: (?:EISDIR|not a file)/],
  ];
  for (const [name, spoil, message] of refusals) {
    restart();
    rmSync(saved, { force: true });
    spoil();
    await t.rejects(run('two'), wrong(message), name);
    t.equal(statSync(log).size, 0, 'nothing is in place');
    rmSync(saved, { recursive: true, force: true });
    writeFileSync(saved, good);
  }
  t.match(await run('two'), { carried: 1 }, 'nothing was extended, so the good one still holds');
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  await extendPcr(tpm, 14, [{ hash: algorithm.sha256, digest: Buffer.alloc(32, 1) }]);
  await tpm.close();
  restart();
  await t.rejects(run('two'), wrong(/does not explain the PCR/), 'extended by somebody else');
});

live('a log that cannot be saved: what was measured counts, and the call says so', async (t, bench) => {
  const { run, restart, saved, folder } = bench;
  writeFileSync(path.join(folder, 'saved'), 'in the way of the folder');
  await t.rejects(run('one', 'two'), {
    code: 'E_MEASURE',
    message: /cannot be saved \((?:EEXIST|ENOTDIR)\)/,
  });
  t.same(logged(bench), ['one', 'two']);
  t.notOk(existsSync(`${bench.log}.incomplete`));
  rmSync(path.join(folder, 'saved'));
  t.same(
    (await run('one')).records.map(({ isNew }) => isNew),
    [false],
  );
  t.same(readFileSync(saved), readFileSync(bench.log), 'the next call has saved it');
  restart();
  t.match(await run('one'), { carried: 2 });
});
