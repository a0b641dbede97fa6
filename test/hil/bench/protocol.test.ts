/** Lines of the bench protocol: both ends against each other, and against anything that may come. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeLine,
  encodeLine,
  LineReader,
  longestLine,
  type Message,
} from '../../../hil/bench/protocol.ts';
import { firmware, noPython } from './controller.ts';

const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index));
const word = fc.string({ unit: fc.constantFrom(...visible), minLength: 1, maxLength: 30 });
const messages: fc.Arbitrary<Message> = fc.record(
  {
    kind: fc.constantFrom('?' as const, '=' as const, '!' as const),
    number: fc.nat(0xffff),
    words: fc.array(word, { minLength: 1, maxLength: 5 }),
  },
  { noNullPrototype: true },
);
/** A line with one of its characters taken out, doubled or changed; all bytes may come. */
const spoilt = fc
  .tuple(messages, fc.nat(), fc.nat(255), fc.constantFrom('out', 'twice', 'other'))
  .map(([message, place, byte, how]) => {
    const line = encodeLine(message).slice(0, -1);
    const at = place % line.length;
    const between = { out: '', twice: line.slice(at, at + 2), other: String.fromCharCode(byte) }[how] ?? '';
    return line.slice(0, at) + between + line.slice(at + 1);
  });
const noise = fc
  .uint8Array({ maxLength: 260 })
  .map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('\n', ''));

t.test('a line as it is written', async (t) => {
  t.equal(
    encodeLine({ kind: '?', number: 1, words: ['hello', '1'] }),
    '? 1 hello 1 *15f75d38\n',
    'CRC-32, as python3 -c "import binascii; ..." gives it',
  );
  for (const words of [[], [''], ['two words'], ['caf\u00e9'], ['line\n'], ['x'.repeat(longestLine)]])
    t.throws(
      () => encodeLine({ kind: '?', number: 1, words }),
      /no line/,
      JSON.stringify(words).slice(0, 30),
    );
  t.throws(() => encodeLine({ kind: '?', number: 65_536, words: ['line'] }));
  t.equal(decodeLine('? 1 hello 1 *15F75D38'), null, 'sums are lower-case');
});

t.test('what is written is read; what was spoilt on the way is not', async () => {
  fc.assert(
    fc.property(messages, (message) => {
      assert.deepEqual(decodeLine(encodeLine(message).slice(0, -1)), message);
    }),
  );
  fc.assert(
    fc.property(spoilt, (line) => {
      const message = decodeLine(line);
      return message === null || encodeLine(message) === `${line}\n`;
    }),
  );
  fc.assert(fc.property(noise, (line) => decodeLine(line) === null));
});

t.test('lines come out of bytes in any pieces, after noise and after a line that never ends', async (t) => {
  fc.assert(
    fc.property(
      fc.array(messages, { maxLength: 6 }),
      fc.uint8Array({ maxLength: 600 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
      (sent, before, sizes) => {
        const bytes = Buffer.concat([
          before,
          Buffer.from('\n'),
          ...sent.map((one) => Buffer.from(encodeLine(one))),
        ]);
        const reader = new LineReader();
        const read: (Message | null)[] = [];
        for (let at = 0, piece = 0; at < bytes.length; piece++) {
          const size = sizes[piece % sizes.length] ?? 1;
          read.push(...reader.push(bytes.subarray(at, at + size)).map(decodeLine));
          at += size;
        }
        assert.deepEqual(
          read.filter((message) => message !== null),
          sent,
        );
      },
    ),
    { numRuns: 50 },
  );
  const reader = new LineReader();
  t.same(reader.push(Buffer.from('x'.repeat(1_000_000))), []);
  t.same(reader.push(Buffer.from('\n? 1 a\r\n')), ['? 1 a'], 'also with a carriage return');
});

t.test('the firmware is Python', { skip: noPython }, async (t) => {
  // Compiled in memory: py_compile would leave files in the sources.
  const check = 'import sys\nfor f in sys.argv[1:]: compile(open(f).read(), f, "exec")';
  const files = ['main.py', 'protocol.py'].map((file) => path.join(firmware, file));
  const { status, stderr } = spawnSync('python3', ['-c', check, ...files], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
});

t.test('both ends take the same lines for good', { skip: noPython }, async (t) => {
  const lines = [
    ...fc.sample(messages, 200).map((message) => encodeLine(message).slice(0, -1)),
    ...fc.sample(spoilt, 300),
    ...fc.sample(noise, 100),
  ];
  const input = lines.map((line) => `${Buffer.from(line, 'latin1').toString('hex')}\n`).join('');
  const program = path.join(import.meta.dirname, 'controller.py');
  const { stdout, status, stderr } = spawnSync('python3', [program, firmware, 'codec'], {
    input,
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
  const theirs = stdout.split('\n').slice(0, -1);
  const ours = lines.map((line) => {
    const message = decodeLine(line);
    if (message === null) return '[null, null]';
    const { kind, number, words } = message;
    return JSON.stringify([[kind, number, words], Buffer.from(encodeLine(message)).toString('hex')]);
  });
  t.same(
    theirs.map((answer) => JSON.parse(answer)),
    ours.map((answer) => JSON.parse(answer)),
  );
});
