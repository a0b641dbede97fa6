/** The initramfs measures with a shell; here into a TPM of software, whose socket is in the place of /dev/tpm0. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { measureRecords } from '../../../daemon/attest/logs/measure-log.ts';
import { measure, predictPcr, readContents, registersOf } from '../../../daemon/attest/measure/measure.ts';
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
  const prelude = `set -u; boot_folder=$1 measure_log=$1/measure.log; . ${library}; exec 3<&0;`;
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
      const { records: measured } = await measure({ names, pcr: 14, log, tpm }, never);
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
