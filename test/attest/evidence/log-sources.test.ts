import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import {
  type LogName,
  logNames,
  mostLogBytes,
  mostWholeLogBytes,
} from '../../../daemon/attest/evidence/evidence.ts';
import { readLog, readLogs } from '../../../daemon/attest/evidence/log-sources.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';

const { signal } = new AbortController();
const start = { firmware: logStart, ima: logStart, measured: logStart, systemd: logStart };
const someBytes = (length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => (index * 7) & 0xff));
const read = (name: LogName, file: string, more: Partial<Parameters<typeof readLog>[0]> = {}) =>
  readLog({ name, path: file, from: logStart, mostBytes: mostLogBytes, signal, ...more });

/** A signal that lets something happen before each chunk is read. */
function signalThat(act: () => void): AbortSignal {
  const { signal } = new AbortController();
  signal.throwIfAborted = act;
  return signal;
}

function folderOf(t: Test): (name: string, contents: Uint8Array | string) => string {
  const folder = t.testdir({});
  return (name, contents) => {
    writeFileSync(path.join(folder, name), contents);
    return path.join(folder, name);
  };
}

t.test('from a position on, whatever the size', async (t) => {
  const file = folderOf(t);
  for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    const bytes = someBytes(size);
    const list = file('list', bytes);
    for (const at of [0, 1, 65_535, 65_536, 65_537, size - 1, size].filter((at) => at >= 0 && at <= size)) {
      const from = { bytes: at, records: 5 };
      t.strictSame(
        await read('ima', list, { from }),
        { from, bytes: bytes.subarray(at) },
        `${at} of ${size}`,
      );
    }
  }
});

t.test('a log that is shorter than its position comes empty', async (t) => {
  const list = folderOf(t)('list', someBytes(100));
  for (const at of [101, 70_000, mostWholeLogBytes]) {
    const from = { bytes: at, records: 9 };
    t.strictSame(await read('firmware', list, { from }), { from, bytes: Buffer.alloc(0) });
  }
});

t.test('a machine that has no such log', async (t) => {
  const file = folderOf(t)('file', '');
  t.equal(await read('firmware', `${file}-not-there`), null);
  t.equal(await read('firmware', `${file}/below-a-file`), null);
});

t.test('a file of the kernel, whose size is not known', async (t) => {
  const whole = readFileSync('/proc/filesystems');
  const from = { bytes: 10, records: 0 };
  t.strictSame((await read('ima', '/proc/filesystems', { from }))?.bytes, whole.subarray(10));
});

t.test('a line that is half written is left for the next time', async (t) => {
  const file = folderOf(t);
  for (const name of ['measured', 'systemd'] as const) {
    const part = (contents: string) => read(name, file(name, contents)).then((log) => log?.bytes.toString());
    t.equal(await part('\x1e{"a":1}\n\x1e{"b"'), '\x1e{"a":1}\n', name);
    t.equal(await part('\x1e{"a":1}\n'), '\x1e{"a":1}\n', name);
    t.equal(await part('\x1e{"a"'), '', name);
  }
  const binary = Buffer.from('\n\x01', 'latin1');
  t.strictSame((await read('ima', file('binary', binary)))?.bytes, binary, 'binary logs have no lines');
});

t.test('a log that grows while it is read', async (t) => {
  const file = folderOf(t)('measured', 'one\n');
  let left = 3;
  const growing = signalThat(() => {
    if (left-- > 0) appendFileSync(file, `${left}\n`);
  });
  t.equal(
    (await read('measured', file, { signal: growing }))?.bytes.toString(),
    readFileSync(file, 'latin1'),
  );
  t.ok(left < 0, 'it was read until nothing came any more');
});

t.test('a log that grows for ever', async (t) => {
  const file = folderOf(t)('ima', '');
  const endless = signalThat(() => appendFileSync(file, Buffer.alloc(64 * 1024)));
  await t.rejects(read('ima', file, { signal: endless }), { code: 'E_ATTEST_LOG' });
});

t.test('larger than what is sent: refused with its size, never cut', async (t) => {
  const file = folderOf(t);
  const list = file('ima', Buffer.alloc(3000));
  t.equal((await read('ima', list, { mostBytes: 3000 }))?.bytes.length, 3000);
  await t.rejects(read('ima', list, { mostBytes: 2999 }), {
    code: 'E_ATTEST_LOG',
    message: /^ima log .*ima, size: at least 3000 bytes, at most 2999 from byte 0 on/,
  });
  const from = { bytes: 2000, records: 0 };
  t.equal(
    (await read('ima', list, { mostBytes: 1000, from }))?.bytes.length,
    1000,
    'only what is new counts',
  );

  const whole = file('whole', Buffer.alloc(mostWholeLogBytes + 10));
  await t.rejects(read('ima', whole, { from: { bytes: mostWholeLogBytes, records: 0 } }), {
    code: 'E_ATTEST_LOG',
    message: new RegExp(`at least ${mostWholeLogBytes + 10} bytes, at most ${mostWholeLogBytes}`),
  });
});

t.test('all logs share what is sent', async (t) => {
  const file = folderOf(t);
  const third = Buffer.alloc(mostLogBytes / 2, 0x0a);
  const paths = {
    firmware: file('firmware', third),
    ima: file('ima', third),
    measured: file('measured', '\n'),
    systemd: '/nowhere/at/all',
  };
  await t.rejects(readLogs(paths, start, signal), {
    code: 'E_ATTEST_LOG',
    message: /^measured log .* at most 0 from byte 0 on/,
  });
  const logs = await readLogs({ ...paths, measured: '/nowhere' }, start, signal);
  t.same(
    logNames.map((name) => logs[name]?.bytes.length ?? null),
    [third.length, third.length, null, null],
  );
});

t.test('a log that this user may not read', async (t) => {
  const file = folderOf(t)('ima', 'list');
  chmodSync(file, 0);
  const uid = process.geteuid?.();
  // Root may read everything: the test is nobody for a moment.
  if (uid === 0) process.seteuid?.(65_534);
  try {
    await t.rejects(read('ima', file), {
      code: 'E_ATTEST_LOG',
      message: /^ima log .*: user \d+ may not read it: .*chgrp/,
      cause: { code: 'EACCES' },
    });
  } finally {
    if (uid === 0) process.seteuid?.(0);
  }
});

t.test('what is no file', async (t) => {
  const file = folderOf(t)('file', '');
  mkdirSync(`${file}.d`);
  await t.rejects(read('firmware', `${file}.d`), { code: 'E_ATTEST_LOG', cause: { code: 'EISDIR' } });
  execFileSync('mkfifo', [`${file}.pipe`]);
  t.strictSame((await read('firmware', `${file}.pipe`))?.bytes, Buffer.alloc(0), 'a pipe is not waited for');
});

t.test('given up when the signal says so', async (t) => {
  const file = folderOf(t)('ima', someBytes(200_000));
  const reason = new Error('enough');
  await t.rejects(
    readLogs({ firmware: file, ima: file, measured: file, systemd: file }, start, AbortSignal.abort(reason)),
    reason,
  );
  const controller = new AbortController();
  const aborted = controller.signal;
  const throwIfAborted = aborted.throwIfAborted.bind(aborted);
  let chunks = 0;
  aborted.throwIfAborted = () => {
    if (++chunks === 3) controller.abort(reason);
    throwIfAborted();
  };
  await t.rejects(read('ima', file, { signal: aborted }), reason, 'between two chunks');
  t.equal(chunks >= 3, true);
});
