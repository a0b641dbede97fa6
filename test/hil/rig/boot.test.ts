import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { bootRig, programScript, type RigProgram, shellQuote } from '../../../hil/rig/boot.ts';
import { findKernel } from '../../../hil/rig/kernel/build.mjs';
import { rigMissing } from '../../../hil/rig/missing.ts';

t.test('words and environment reach the program byte for byte', async (t) => {
  // Every character that a command line or an environment can hold alone and before a quote; one shell for all.
  const characters = Array.from({ length: 0x17f }, (_, index) => String.fromCharCode(index + 1));
  const words = ['', "''", '$(x)', '-n', ...characters, ...characters.map((character) => `${character}'`)];
  const printed = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${words.map(shellQuote).join(' ')}`]);
  t.equal(printed.toString(), words.map((text) => `${Buffer.from(text).toString()}\0`).join(''));
  const script = programScript({ program: ['node', "it's"], environment: { A_1: '$HOME `x`' } });
  t.match(script, "export A_1='$HOME `x`'\n");
  t.match(script, "exec 'node' 'it'\\''s'\n");
  t.throws(() => programScript({ program: ['x'], environment: { 'A;B': '' } }), /`A;B` cannot be the name/);
});

const skip = rigMissing() ?? false;
const kernel = skip === false ? findKernel()! : '';

/** The rig with its temporary files in a folder of this test, so that what is left over can be told. */
function prepare(test: Pick<typeof t, 'teardown'>) {
  const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-boot-'));
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  test.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(folder, { recursive: true, force: true });
  });
  const run = (script: string, other: Partial<RigProgram> = {}) =>
    bootRig({
      kernel,
      program: ['/bin/sh', '-c', script],
      environment: {},
      timeoutMs: 60_000,
      onOutput: () => undefined,
      signal: null,
      ...other,
    });
  /** Files and processes, those of the guest too: each is a process of the host with the kernel's command line. */
  const leftOver = () => [
    ...readdirSync(folder),
    ...readdirSync('/proc').filter(
      (name) => /^\d+$/.test(name) && commandLine(name).includes(`rig=${folder}/`),
    ),
  ];
  return { folder, run, leftOver };
}

function commandLine(process: string): string {
  try {
    return readFileSync(`/proc/${process}/cmdline`, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}

t.test(
  'a program runs on the checkout; its output and exit code come out, its files do not',
  { skip },
  async (t) => {
    const { folder, run, leftOver } = prepare(t);
    const lines: string[] = [];
    const { exitCode, output } = await run(
      `cat /proc/device-tree/model; echo; test -f package.json && echo checkout; echo "$GREETING" >&2
     echo written > ${folder}/inside; rm -f README.md; cat ${folder}/inside; test -t 1 || echo pipe; sleep 60 & exit 7`,
      { environment: { GREETING: 'a  b' }, onOutput: (line) => lines.push(line) },
    );
    t.equal(exitCode, 7);
    t.same(lines, ['Raspberry Pi 4 Model B (surfaced rig)\0', 'checkout', 'a  b', 'written', 'pipe']);
    t.equal(output, lines.join('\n'));
    t.notOk(existsSync(path.join(folder, 'inside')), 'what is written inside stays inside');
    t.ok(existsSync('README.md'));
    t.same(leftOver(), []);
  },
);

t.test('a rig that is stopped, or takes too long, leaves nothing behind', { skip }, async (t) => {
  const { run, leftOver } = prepare(t);
  const control = new AbortController();
  const stopped = run('sleep 100 & echo up; sleep 100', {
    signal: control.signal,
    onOutput: () => {
      t.ok(leftOver().length > 3, 'while it runs, its folder and its processes are seen');
      control.abort(new Error('enough'));
    },
  });
  await t.rejects(stopped, { message: 'The rig was ended early', cause: { message: 'enough' } });
  t.same(leftOver(), []);

  await t.rejects(run('echo up; sleep 100', { timeoutMs: 1 }), /did not end within 0\.001 s/);
  t.same(leftOver(), []);
});

t.test('a kernel that dies or is none says so', { skip }, async (t) => {
  const { run, leftOver } = prepare(t);
  await t.rejects(run('', { kernel: '/bin/false' }), /ended before the program did/);
  await t.rejects(run('', { kernel: '/nowhere/linux' }), /ended before the program did.*\/nowhere\/linux/s);
  t.equal((await run('kill -9 $$')).exitCode, 137, 'a program that is killed');
  t.same(leftOver(), []);
});
