import t from 'tap';
import { cpioArchive, type Entry } from '../../../image/boot/cpio.ts';

const file = (path: string, text: string): Entry => ({
  kind: 'file',
  path,
  content: Buffer.from(text),
  isExecutable: path.startsWith('bin/'),
});

/** Name, mode in octal, content of each entry, as cpio(5) has them. */
function entriesOf(archive: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; ; ) {
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    t.equal(archive.toString('latin1', at, at + 6), '070701');
    const name = archive.toString('latin1', at + 110, at + 110 + field(11) - 1);
    const start = (at + 110 + field(11) + 3) & ~3;
    found.push(
      `${name} ${field(1).toString(8)} ${field(2)}:${field(3)} ${field(5)} ${archive.toString('latin1', start, start + field(6))}`,
    );
    at = (start + field(6) + 3) & ~3;
    if (name === 'TRAILER!!!') {
      t.equal(at, archive.length);
      return found;
    }
  }
}

t.test(
  'entries in the order of their paths, folders before what is in them, all of root and of one time',
  async (t) => {
    const link: Entry = { kind: 'link', path: 'bin/sh', target: 'busybox' };
    const given: Entry[] = [
      file('init', 'abc'),
      link,
      file('bin/busybox', '12345'),
      { kind: 'folder', path: 'dev' },
    ];
    const archive = cpioArchive(given, 77);
    t.same(entriesOf(archive), [
      'bin 40755 0:0 77 ',
      'bin/busybox 100755 0:0 77 12345',
      'bin/sh 120777 0:0 77 busybox',
      'dev 40755 0:0 77 ',
      'init 100644 0:0 77 abc',
      'TRAILER!!! 0 0:0 0 ',
    ]);
    t.ok(archive.equals(cpioArchive(given.toReversed(), 77)), 'whatever the order that they come in');
  },
);

t.test('a path that is there twice is refused', async (t) => {
  t.throws(() => cpioArchive([file('a', '1'), file('a', '2')], 0), /a is there twice/);
  t.throws(() => cpioArchive([file('a', '1'), file('a/b', '2')], 0), /a is there twice/);
});
