import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { type Footer, footerText, readFooter } from '../../../image/boot/slot.ts';
import { footerBytes } from '../../../image/layout.ts';

const hex64 = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const footers: fc.Arbitrary<Footer> = fc.record({
  version: fc.stringMatching(/^\d{1,3}\.\d{1,3}\.\d{1,3}(?:-[a-z0-9.]{1,8})?$/),
  rootHash: hex64,
  salt: hex64,
  dataBlocks: fc.nat(1_000_000),
  hashOffset: fc.nat(1_000_000).map((blocks) => blocks * 4096),
});

t.test('a footer is read as it was written', async () => {
  fc.assert(
    fc.property(footers, (footer) => {
      const block = footerText(footer);
      return block.length === footerBytes && JSON.stringify(readFooter(block)) === JSON.stringify(footer);
    }),
  );
});

t.test('what is no footer is none', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => readFooter(Buffer.from(bytes)) === null),
  );
  const [footer] = fc.sample(footers, 1) as [Footer];
  const text = footerText(footer).toString('latin1');
  for (const [from, to] of [
    ['surfaced-slot 1', 'surfaced-slot 2'],
    ['root-hash=', 'root-hash=Z'],
    ['salt=', 'tlas='],
    ['data-blocks=', 'data-blocks=-'],
  ] as const)
    t.equal(readFooter(Buffer.from(text.replace(from, to), 'latin1')), null, to);
  t.throws(() => footerText({ ...footer, version: '1\nroot-hash=0' }), RangeError);
});

const library = fileURLToPath(new URL('../../../image/boot/initramfs/lib/surfaced/root.sh', import.meta.url));

/** What the initramfs takes for the footer of a slot that is this file. */
function readByShell(file: string, blocks: number): string {
  const script = `set -u; . ${library}; sectors() { echo ${blocks * 8}; }
read_footer "$1" && printf '%s|' "$version" "$root_hash" "$salt" "$data_blocks" "$hash_offset"`;
  return spawnSync('sh', ['-c', script, 'sh', file], { encoding: 'utf8' }).stdout;
}

t.test('the initramfs reads a footer in the same way', async (t) => {
  const file = path.join(t.testdir(), 'slot');
  fc.assert(
    fc.property(footers, ({ ...footer }) => {
      writeFileSync(file, Buffer.concat([Buffer.alloc(footerBytes, 1), footerText(footer)]));
      const { version, rootHash, salt, dataBlocks, hashOffset } = footer;
      return readByShell(file, 2) === `${version}|${rootHash}|${salt}|${dataBlocks}|${hashOffset}|`;
    }),
    { numRuns: 8 },
  );
  const [footer] = fc.sample(footers, 1) as [Footer];
  const text = footerText(footer).toString('latin1');
  const broken = [
    text.replace('surfaced-slot 1', 'surfaced-slot 10'),
    text.replace(/root-hash=../, 'root-hash='),
    text.replace(/root-hash=./, 'root-hash=$'),
    text.replace('data-blocks=', 'data-blocks=x'),
    text.replace(/hash-offset=.*/, 'hash-offset=4095'),
    text.replace(/version=.*/, 'version='),
    '\0'.repeat(footerBytes),
  ];
  for (const one of broken) {
    writeFileSync(file, Buffer.from(one.padEnd(footerBytes, '\0'), 'latin1'));
    t.equal(readByShell(file, 1), '', one.slice(0, 40));
  }
});
