import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Test, test } from 'tap';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { isMeasureCovered, measureRecords } from '../../../daemon/attest/logs/measure-log.ts';
import { Replay } from '../../../daemon/attest/logs/replay.ts';
import { measure, predictPcr, readContents } from '../../../daemon/attest/measure/measure.ts';
import { openTpm } from '../../../daemon/attest/open-tpm.ts';
import {
  algorithm,
  extendPcr,
  generalCommands,
  type HashName,
  pcrsCommands,
  readPcrs,
  Tpm,
  TpmTransportError,
  type Transport,
} from '../../../daemon/attest/tpm2/index.ts';
import { swtpm } from '../../../daemon/attest/tpm2/transports/swtpm.ts';
import { beginSoftwareTpm, type SoftwareTpm, withoutSwtpm } from '../tpm2/live/swtpm.ts';

const never = new AbortController().signal;
const main = fileURLToPath(new URL('../../../daemon/main.ts', import.meta.url));

interface Bench {
  readonly chip: SoftwareTpm;
  readonly tpm: Tpm;
  readonly folder: string;
  readonly log: string;
}

function live(name: string, work: (t: Test, bench: Bench) => Promise<void>): void {
  test(name, { skip: withoutSwtpm }, async (t) => {
    const chip = await beginSoftwareTpm();
    const tpm = new Tpm({ transport: swtpm(chip.address) });
    const folder = t.testdir({ one: 'one', two: 'two', three: 'three', folder: { a: 'a', b: 'b' } });
    try {
      await work(t, { chip, tpm, folder, log: path.join(folder, 'run/measure.log') });
    } finally {
      await tpm.close();
      await chip.end();
    }
  });
}

const files = ({ folder }: Bench, ...names: string[]) => names.map((name) => path.join(folder, name));
const run = (bench: Bench, ...names: string[]) =>
  measure({ names: files(bench, ...names), pcr: 14, log: bench.log, saved: null, tpm: bench.tpm }, never);
const recordsIn = ({ log }: Bench) => [...measureRecords(readFileSync(log), logStart)];
const registerOf = async ({ tpm }: Bench, pcr = 14): Promise<Uint8Array> =>
  (await readPcrs(tpm, [{ hash: algorithm.sha256, pcrs: [pcr] }]))[0]!.values.get(pcr)!;
/** How many wait for the lock of a file (proc_locks(5)). */
const waitingFor = (name: string): number => {
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  return lines.filter((line) => line.includes('-> FLOCK') && line.includes(`:${statSync(name).ino} `)).length;
};
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** That the log is whole and says what the PCRs hold in both banks of this TPM. */
async function agrees(t: Test, bench: Bench, paths: readonly string[]): Promise<void> {
  const banks: readonly HashName[] = ['sha1', 'sha256'];
  const replay = new Replay(banks, null);
  const records = recordsIn(bench);
  for (const record of records) {
    replay.extend(record.pcr!, record.digests);
    for (const bank of banks) t.ok(isMeasureCovered(record, bank));
  }
  for (const bank of banks) {
    const [read] = await readPcrs(bench.tpm, [{ hash: algorithm[bank], pcrs: [14] }]);
    t.equal(hexOf(read!.values.get(14)!), hexOf(replay.value(bank, 14)), bank);
  }
  t.same(
    records.map(({ content }) => content.kind === 'file' && path.relative(bench.folder, content.path)),
    paths.map((name) => (name.endsWith('/') ? name.slice(0, -1) : name)),
  );
  t.notOk(existsSync(`${bench.log}.incomplete`), 'nothing is marked');
}

/** A transport that answers only so many PCR_Extend, then is as if the process had ended there. */
class Dying implements Transport {
  readonly name = 'dying';
  readonly hasResourceManager = false;
  readonly #inner: Transport;
  #extendsLeft: number;
  constructor(inner: Transport, extendsLeft: number) {
    this.#inner = inner;
    this.#extendsLeft = extendsLeft;
  }
  async exchange(command: Uint8Array, mostMs: number): Promise<Uint8Array> {
    if (Buffer.from(command).readUInt32BE(6) === pcrsCommands.pcrExtend.code && this.#extendsLeft-- <= 0)
      throw new TpmTransportError('gone');
    return this.#inner.exchange(command, mostMs);
  }
  close = () => this.#inner.close();
}

/** Measures until so many records are extended, then the TPM is gone. */
async function interrupted(t: Test, bench: Bench, extended: number, ...names: string[]): Promise<void> {
  await bench.tpm.close(); // A software TPM has one client at a time.
  const tpm = new Tpm({ transport: new Dying(swtpm(bench.chip.address), extended) });
  const dying = measure({ names: files(bench, ...names), pcr: 14, log: bench.log, saved: null, tpm }, never);
  if (extended < names.length) await t.rejects(dying, { code: 'E_TPM_OPEN' });
  else await dying;
  await tpm.close();
}

live('files and folders, and the log that explains the PCR', async (t, bench) => {
  const measured = await run(bench, 'two', 'one', 'folder', 'two');
  t.same(
    measured.records.map(({ isNew }) => isNew),
    [true, true, true],
    'what is named twice is measured once',
  );
  await agrees(t, bench, ['two', 'one', 'folder/']);
  const [first] = recordsIn(bench);
  t.same(first?.content, {
    kind: 'file',
    path: path.join(bench.folder, 'two'),
    sha256: createHash('sha256').update('two').digest('hex'),
  });
  t.equal(statSync(bench.log).mode & 0o777, 0o644, 'the daemon of another user reads it');
  const predicted = predictPcr(await readContents(files(bench, 'two', 'one', 'folder'), never), 14);
  t.same(
    [...measured.values],
    [...predicted].filter(([bank]) => bank === 'sha1' || bank === 'sha256'),
  );

  const again = await run(bench, 'one', 'three', 'folder');
  t.same(
    again.records.map(({ isNew }) => isNew),
    [false, true, false],
    'what the PCR has is not measured again: a service that starts again changes nothing',
  );
  await agrees(t, bench, ['two', 'one', 'folder/', 'three']);
  writeFileSync(path.join(bench.folder, 'folder/b'), 'changed');
  t.ok((await run(bench, 'folder')).records[0]?.isNew, 'another content is');
  await agrees(t, bench, ['two', 'one', 'folder/', 'three', 'folder/']);
  const other = { names: files(bench, 'one'), pcr: 15, log: bench.log, saved: null, tpm: bench.tpm };
  t.ok((await measure(other, never)).records[0]?.isNew, 'and another PCR');
  t.notSame(await registerOf(bench, 15), Buffer.alloc(32));
  t.equal((await run(bench, 'one')).records[0]?.isNew, false);
});

live('nothing is extended when anything is wrong', async (t, bench) => {
  const fails = async (work: Promise<unknown>, code: string, message: RegExp) => {
    await t.rejects(work, { code, message });
    t.same(await registerOf(bench), Buffer.alloc(32));
    t.notOk(existsSync(bench.log), 'no log');
  };
  await fails(run(bench, 'one', 'absent', 'two'), 'E_MEASURE', /absent: cannot be read \(ENOENT\)/);
  const into = (pcr: number) =>
    measure({ names: files(bench, 'one'), pcr, log: bench.log, saved: null, tpm: bench.tpm }, never);
  for (const pcr of [0, 10, 16, 23, 24]) await fails(into(pcr), 'E_MEASURE', /^PCR \d+: is not for files/);
});

live('without a TPM there is no log', async (t, bench) => {
  const tpm = openTpm({ swtpm: path.join(bench.folder, 'no-such-socket') });
  await t.rejects(measure({ names: files(bench, 'one'), pcr: 14, log: bench.log, saved: null, tpm }, never), {
    code: 'E_TPM_OPEN',
    message: /^measuring into PCR 14: /,
  });
  t.notOk(existsSync(bench.log));
  await tpm.close();
});

live('a log that cannot be written', async (t, bench) => {
  const into = (log: string) =>
    measure({ names: files(bench, 'one'), pcr: 14, log, saved: null, tpm: bench.tpm }, never);
  await t.rejects(into(bench.folder), { code: 'E_MEASURE', message: /cannot be used as a log: EISDIR/ });
  await t.rejects(into(path.join(bench.folder, 'one/log')), { code: 'E_MEASURE', message: /EEXIST/ });
  await t.rejects(into('/dev/full'), { code: 'E_MEASURE', message: /not a file/ });
  t.same(await registerOf(bench), Buffer.alloc(32));
});

live('interrupted after any number of extensions, the next call completes it', async (t, bench) => {
  await run(bench, 'folder');
  for (const [index, extended] of [0, 1, 2].entries()) {
    const names = [`${index}one`, `${index}two`];
    for (const name of names) writeFileSync(path.join(bench.folder, name), name);
    await interrupted(t, bench, extended, ...names);
    t.equal(existsSync(`${bench.log}.incomplete`), extended < 2);
    // Another PCR in between does not matter.
    const { completed } = await measure(
      { names: files(bench, 'one'), pcr: 15, log: `${bench.log}.other`, saved: null, tpm: bench.tpm },
      never,
    );
    t.equal(completed, 0);
    t.equal((await run(bench, 'one')).completed, 2 - extended);
  }
  await agrees(t, bench, ['folder/', '0one', '0two', 'one', '1one', '1two', '2one', '2two']);
});

live('interrupted before the first record of all', async (t, bench) => {
  await interrupted(t, bench, 0, 'one', 'two');
  t.equal((await run(bench, 'one')).completed, 2);
  await agrees(t, bench, ['one', 'two']);
});

live('a record that was written in part is taken away, when a mark says that it can be', async (t, bench) => {
  await run(bench, 'one');
  const whole = readFileSync(bench.log);
  await interrupted(t, bench, 0, 'two', 'three');
  writeFileSync(bench.log, readFileSync(bench.log).subarray(0, whole.length + 700));
  t.equal(recordsBefore(bench), 2, 'the third is torn');
  t.equal((await run(bench, 'three')).completed, 1);
  await agrees(t, bench, ['one', 'two', 'three']);
  writeFileSync(bench.log, readFileSync(bench.log).subarray(0, -1));
  await t.rejects(run(bench, 'one'), { code: 'E_MEASURE', message: /measure\.log: .*no end within/ });
});

const recordsBefore = ({ log }: Bench): number => {
  const bytes = readFileSync(log);
  return [...measureRecords(bytes.subarray(0, bytes.lastIndexOf('\n') + 1), logStart)].length;
};

live('a mark that was written in part, or that is left over, does no harm', async (t, bench) => {
  await run(bench, 'one');
  for (const text of ['', '{"from":', '{"from":{"bytes":0,"records":0},"resetCount":1,"restartCount":0}']) {
    writeFileSync(`${bench.log}.incomplete`, text);
    t.equal((await run(bench, 'one')).completed, 0);
    t.notOk(existsSync(`${bench.log}.incomplete`));
  }
  await agrees(t, bench, ['one']);
});

live('a TPM that was reset while the machine went on: nothing is extended anew', async (t, bench) => {
  await run(bench, 'one', 'two');
  await bench.chip.reset();
  await startUp(bench);
  const message =
    /run\/measure\.log: has records and the TPM has none of them: it was reset .* Restart the machine/;
  await t.rejects(run(bench, 'three'), { code: 'E_MEASURE', message });
  t.same(await registerOf(bench), Buffer.alloc(32));
  t.equal(recordsIn(bench).length, 2);
});

live('a TPM that was reset in the middle of a call: its records are not put back', async (t, bench) => {
  await interrupted(t, bench, 1, 'one', 'two');
  await bench.chip.reset();
  await startUp(bench);
  await t.rejects(run(bench, 'three'), { code: 'E_MEASURE', message: /was reset/ });
  t.same(await registerOf(bench), Buffer.alloc(32));
});

/** TPM2_Startup(CLEAR), which a reset leaves to the machine. */
async function startUp({ tpm }: Bench): Promise<void> {
  await tpm.execute(generalCommands.startup, { handles: {}, parameters: { startupType: 0 } });
}

live('others who extend the PCR, or take the log away, are noticed', async (t, bench) => {
  await run(bench, 'one');
  const log = readFileSync(bench.log);
  writeFileSync(bench.log, '');
  const wrong = { code: 'E_MEASURE', message: /measure\.log: is not what PCR 14 holds: .* Cut the power/ };
  await t.rejects(run(bench, 'two'), wrong, 'the log is empty');
  writeFileSync(bench.log, log);
  t.equal((await run(bench, 'one')).records[0]?.isNew, false, 'put back, all is well');
  const edited = log.toString().replace('"recnum":0,"pcr":14', '"recnum":0,"pcr":13');
  writeFileSync(bench.log, edited);
  await t.rejects(run(bench, 'two'), wrong, 'a record of another PCR');
  writeFileSync(bench.log, log);
  await extendPcr(bench.tpm, 14, [
    { hash: algorithm.sha1, digest: Buffer.alloc(20, 1) },
    { hash: algorithm.sha256, digest: Buffer.alloc(32, 1) },
  ]);
  await t.rejects(run(bench, 'two'), wrong, 'extended by somebody else');
  t.equal(recordsIn(bench).length, 1);
});

live('one bank alone that was extended is noticed', async (t, bench) => {
  await run(bench, 'one');
  await extendPcr(bench.tpm, 14, [{ hash: algorithm.sha1, digest: Buffer.alloc(20, 1) }]);
  await t.rejects(run(bench, 'two'), { code: 'E_MEASURE', message: /is not what PCR 14 holds/ });
});

live('two processes at once wait for the lock of a third, and go on when it is killed', async (t, bench) => {
  const { chip, folder, log, tpm } = bench;
  await tpm.close();
  const address = chip.path;
  const words = (names: string[]) => ['measure', '--swtpm', address, '--log', log, '-o', 'json', ...names];
  const names = Array.from({ length: 6 }, (_, index) => {
    writeFileSync(path.join(folder, `file${index}`), `${index}`);
    return path.join(folder, `file${index}`);
  });
  mkdirSync(path.dirname(log));
  const holding = ['--exclusive', '--no-fork', log, 'sh', '-c', 'echo locked; exec sleep 600'];
  const holder = spawn('flock', holding, { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  let ended = 0;
  const measuring = [names.slice(0, 4), names.slice(2)].map((some) =>
    promisify(execFile)(process.execPath, ['--import=tsx', main, ...words(some)]).finally(() => ended++),
  );
  const all = Promise.all(measuring);
  all.catch(() => {}); // Awaited below.
  // One for the lock, the other for it or for the TPM: swtpm answers one connection at a time.
  while (ended === 0 && waitingFor(log) === 0) await pause(20);
  t.equal(ended, 0, 'none goes on while it is locked');
  t.equal(statSync(log).size, 0);
  holder.kill('SIGKILL');
  const results = (await all).map(({ stdout }) => JSON.parse(stdout) as { records: { isNew: boolean }[] });
  const made = results.flatMap(({ records }) => records.filter(({ isNew }) => isNew));
  t.equal(made.length, 6, 'each file once');
  t.equal(recordsIn(bench).length, 6);
  t.equal((await run(bench, 'file0')).records[0]?.isNew, false, 'log and PCR agree');
});
