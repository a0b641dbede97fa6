import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { ImaEntry } from '../../../daemon/attest/logs/ima-entry.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { imaContentsLine, parseImaContents } from '../../../daemon/attest/policy/ima-contents.ts';
import { sha } from '../logs/samples.ts';
import { messageOf } from './sets.ts';

const entry = (algorithm: string, digest: Uint8Array, name: Uint8Array | string): ImaEntry => ({
  template: 'ima-ng',
  file: { algorithm, digest },
  name: Buffer.from(name),
  signature: null,
  buffer: null,
  listedHash: Buffer.alloc(20, 1),
  templateData: Buffer.alloc(0),
  isViolation: false,
  start: logStart,
  end: logStart,
});
const parse = (text: string | Uint8Array, isPathCompared = false) =>
  parseImaContents(Buffer.from(text), { name: 'list.ima', isPathCompared });
const fault = (text: string | Uint8Array) => messageOf(() => parse(text), 'E_POLICY_SET');
const hex = (content: string, algorithm = 'sha256') => sha(algorithm, content).toString('hex');

t.test('what sha256sum writes is read, names with a line end, a backslash and a blank, too', async (t) => {
  const folder = t.testdir({});
  const names = ['plain', 'a blank', 'back\\slash', 'line\nend', 'umlaut-\u00e4'];
  mkdirSync(path.join(folder, 'd'));
  for (const name of names) writeFileSync(path.join(folder, 'd', name), `content of ${name}`);
  const list = execFileSync('sha256sum', [...names.map((name) => path.join(folder, 'd', name))]);
  for (const isPathCompared of [false, true]) {
    const contents = parse(list, isPathCompared);
    t.equal(contents.count, names.length);
    for (const name of names) {
      const digest = sha('sha256', `content of ${name}`);
      // ima_template_lib.c: a blank in a name becomes an underscore.
      const measured = path.join(folder, 'd', name).replaceAll(' ', '_');
      t.equal(contents.has(entry('sha256', digest, measured)), true, name);
      t.equal(contents.has(entry('sha256', digest, '/elsewhere')), !isPathCompared, 'its path counts or not');
      t.equal(contents.has(entry('sha256', sha('sha256', 'other'), measured)), false);
    }
  }
});

t.test('the hash is told by its length, and must be that of the entry', async (t) => {
  const contents = parse(`${hex('a')}  /a\n${hex('b', 'sha384')} */b\n${hex('c', 'sha512')}  /c`);
  t.equal(contents.count, 3);
  t.equal(contents.has(entry('sha256', sha('sha256', 'a'), '/a')), true);
  t.equal(contents.has(entry('sha384', sha('sha384', 'b'), '/b')), true);
  t.equal(contents.has(entry('sha512', sha('sha512', 'c'), '/c')), true);
  t.equal(contents.has(entry('sm3-256', sha('sha256', 'a'), '/a')), false, 'another hash of the same length');
});

t.test('faults name the line', async (t) => {
  const good = `${hex('a')}  /a\n`;
  t.match(fault(`${good}\n`), /^list\.ima:2 expected a SHA-256/);
  t.match(fault(`${good}# comment\n`), /^list\.ima:2 expected .*"# comment"/);
  t.match(fault(`${hex('a', 'sha1')}  /a\n`), /^list\.ima:1 expected/, 'SHA-1 is not taken');
  t.match(fault(`${hex('a').toUpperCase()}  /a\n`), /^list\.ima:1 expected/);
  t.match(fault(`${hex('a')}  \n`), /^list\.ima:1 expected/);
  t.match(fault(`${hex('a')}  /a\u001b[2J\n`), /^list\.ima:1 the path has a control character/);
  t.match(fault(`${hex('a')}  /a\r\n`), /^list\.ima:1/);
  t.match(fault(`${hex('a')}  ${'a'.repeat(9000)}\n`), /^list\.ima:1 longer than/);
  t.match(fault(Buffer.alloc(17 * 1024 * 1024, 0x61)), /larger than 16777216 bytes/);
  const short = `${hex('a')}  a\n`;
  t.match(fault(short.repeat(200_001)), /^list\.ima:200001 more than 200000 lines/);
});

t.test('what is written for an entry is read again; nothing else gets through the parser', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(2), (name, which) => {
      const algorithm = ['sha256', 'sha384', 'sha512'][which]!;
      const one = entry(algorithm, sha(algorithm, name), name);
      const contents = parse(imaContentsLine(one)!);
      return contents.count === 1 && contents.has(one);
    }),
  );
  t.equal(imaContentsLine(entry('sha1', sha('sha1', 'a'), '/a')), null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      fault(bytes);
      return true;
    }),
  );
});
