/** The initramfs measures with a shell; here into a TPM of software, whose socket is in the place of /dev/tpm0. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { isMeasureCovered, measureRecords } from '../../../daemon/attest/logs/measure-log.ts';
import { measure, predictPcr, readContents } from '../../../daemon/attest/measure/measure.ts';
import { registersOf } from '../../../daemon/attest/measure/registers.ts';
import { readLog, standingOf } from '../../../daemon/attest/measure/standing.ts';
import { Tpm } from '../../../daemon/attest/tpm2/index.ts';
import { swtpm } from '../../../daemon/attest/tpm2/transports/swtpm.ts';
import { SoftwareTpm, withoutSwtpm } from '../../../hil/software-tpm.ts';

const library = fileURLToPath(
  new URL('../../../image/boot/initramfs/lib/surfaced/measure.sh', import.meta.url),
);
const never = new AbortController().signal;

/** Runs commands of the library with a file descriptor 3; resolves with exit code and output. */
async function run(
  folder: string,
  script: string,
  tpm: string | null,
): Promise<{ code: number; output: string }> {
  const socket = tpm === null ? null : connect(tpm);
  if (socket !== null) await once(socket, 'connect');
  const prelude = `set -u; boot_folder=$1 measure_log=$1/measure.log; say() { echo "$*"; }; . ${library}; exec 3<&0;`;
  const child = spawn('sh', ['-c', `${prelude} ${script}`, 'sh', folder], {
    stdio: [socket ?? 'ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout!), once(child, 'exit') as Promise<[number]>]);
  socket?.destroy();
  return { code, output };
}

const start =
  'slot=a version=0.1.0 root_hash=$(printf %064d 7) command_line="panic=10 surfaced.slot=a"; describe_start;';

t.test(
  'into every bank of the TPM, and `surfaced measure` goes on with the log',
  { skip: withoutSwtpm },
  async (t) => {
    const chip = await SoftwareTpm.begin({ state: null });
    t.teardown(() => chip.end());
    const folder = t.testdir({ more: 'more' });
    t.same(await run(folder, `${start} measure_all`, chip.path), { code: 0, output: '' });
    t.equal(readFileSync(path.join(folder, 'cmdline'), 'utf8'), 'panic=10 surfaced.slot=a\n');

    const files = ['root-hash', 'cmdline'].map((name) => path.join(folder, name));
    const log = path.join(folder, 'measure.log');
    const tpm = new Tpm({ transport: swtpm(chip.address) });
    try {
      const { records } = readLog(readFileSync(log), false);
      const banks = [...(records[0]?.digests.keys() ?? [])];
      t.same(banks.toSorted(), ['sha1', 'sha256', 'sha384', 'sha512']);
      const registers = await registersOf(tpm, [14], banks);
      t.same(standingOf({ records, registers, pcr: 14, marked: null }), { kind: 'extended', extended: 2 });
      const predicted = predictPcr(await readContents(files, never), 14);
      t.same(
        registers.get('sha256')?.get(14),
        predicted.get('sha256'),
        'what `surfaced measure` would extend',
      );

      const names = [...files, path.join(folder, 'more')];
      const { records: measured } = await measure({ names, pcr: 14, log, saved: null, tpm }, never);
      t.same(
        measured.map(({ isNew }) => isNew),
        [false, false, true],
      );
      t.equal([...measureRecords(readFileSync(log), logStart)].length, 3);
    } finally {
      await tpm.close();
    }
  },
);

const told = 'the TPM was not reset with the machine: the log of what it has measured goes on\n';

t.test(
  'a restart without a reset of the TPM is a record, and the log goes on behind what was saved',
  { skip: withoutSwtpm },
  async (t) => {
    const chip = await SoftwareTpm.begin({ state: null });
    t.teardown(() => chip.end());
    const folder = t.testdir({ more: 'more' });
    const [log, saved] = [path.join(folder, 'measure.log'), path.join(folder, 'saved/measure.log')];
    const names = [path.join(folder, 'more')];
    const kinds: string[] = [];
    for (let starts = 1; starts <= 3; starts++) {
      rmSync(log, { force: true });
      const output = starts === 1 ? '' : told;
      t.same(await run(folder, `${start} measure_all`, chip.path), { code: 0, output });
      const [first] = readLog(readFileSync(log), false).records;
      t.equal(first?.content.kind, starts === 1 ? 'file' : 'restart');
      t.ok(
        [...(first?.digests.keys() ?? [])].every((bank) => isMeasureCovered(first!, bank)),
        'its digests are those of its text',
      );
      const tpm = new Tpm({ transport: swtpm(chip.address) });
      const { records } = await measure({ names, pcr: 14, log, saved, tpm }, never);
      t.same(
        records.map(({ isNew }) => isNew),
        [true],
        'what an earlier start has measured is measured again',
      );
      await tpm.close();
      kinds.push(...(starts === 1 ? [] : ['restart']), 'file', 'file', 'file');
      t.same(
        readLog(readFileSync(log), false).records.map(({ content }) => content.kind),
        kinds,
      );
      t.same(readFileSync(saved), readFileSync(log));
    }
    await chip.cutPower();
    await chip.start();
    rmSync(log);
    t.same(await run(folder, `${start} measure_all`, chip.path), { code: 0, output: '' }, 'power was cut');
    t.equal(readLog(readFileSync(log), false).records.length, 2);
  },
);

t.test('what PCR 14 holds: any bank counts, and a TPM that does not tell is not measured into', async (t) => {
  const folder = t.testdir({});
  const digest = (hex: string, bytes: number) => `${bytes.toString(16).padStart(4, '0')}${hex.repeat(bytes)}`;
  const answer = (bank: string, held: string | null) =>
    `800100000000${'0'.repeat(8)}0000001400000001${bank}${held === null ? '0300000000000000' : `0300400000000001${held}`}`;
  const unknown = '80010000000a000001c3';
  const shell = (answers: Readonly<Record<string, string>>) =>
    `tpm() { case $1 in ${Object.entries(answers)
      .map(([bank, text]) => `*${bank}03004000) echo ${text} ;;`)
      .join(' ')} *) echo ${unknown} ;; esac; }; read_pcr && echo held=$held`;
  const [zero, zero1] = [digest('00', 32), digest('00', 20)];
  const rows: readonly [string, Record<string, string>, RegExp | null][] = [
    ['zeros', { '0004': answer('0004', zero1), '000b': answer('000b', zero) }, /^held=0{104}\n$/],
    [
      'one bank alone',
      { '000b': answer('000b', zero), '000c': answer('000c', digest('01', 48)) },
      /^held=0{64}(01){48}\n$/,
    ],
    [
      'a bank that is not active',
      { '000b': answer('000b', zero), '000c': answer('000c', null) },
      /^held=0{64}\n$/,
    ],
    ['no bank', {}, null],
    ['none that is active', { '000b': answer('000b', null) }, null],
    ['busy', { '0004': '80010000000a00000922', '000b': answer('000b', zero) }, null],
    ['nothing', { '000b': '' }, null],
    ['the answer of another bank', { '000b': answer('000c', digest('00', 48)) }, null],
    ['cut', { '000b': answer('000b', null).slice(0, -2) }, null],
  ];
  for (const [name, answers, expected] of rows) {
    const { code, output } = await run(folder, shell(answers), null);
    if (expected === null) t.not(code, 0, name);
    else t.match(output, expected, name);
  }
  const refused = await run(folder, `tpm() { echo ${unknown}; }; measure_all`, null);
  t.not(refused.code, 0);
  t.throws(() => readFileSync(path.join(folder, 'measure.log')), { code: 'ENOENT' });
});

t.test('a TPM that refuses, or answers with something else: no record', async (t) => {
  const folder = t.testdir({ file: 'x' });
  const answers = {
    refused: '80010000000a00000101',
    empty: '',
    'not an answer': 'ffffffffffffffffffffffffffffffffffff',
    'a bank that nobody knows': '8002000000350000000000000024000000019999',
    'cut in a digest': '80020000003500000000000000240000000100 0b0011'.replace(' ', ''),
  };
  for (const [name, answer] of Object.entries(answers)) {
    const { code } = await run(folder, `tpm() { echo ${answer}; }; measure 0 $1/file`, null);
    t.not(code, 0, name);
    t.throws(() => readFileSync(path.join(folder, 'measure.log')), { code: 'ENOENT' }, name);
  }
});
