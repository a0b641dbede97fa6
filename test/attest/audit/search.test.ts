/** Search from the end of the log: what a reader from the start would find, in pieces of any size. */
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { chainStart, eventText, lineOf, mostLineBytes } from '../../../daemon/attest/audit/record.ts';
import { type FoundRecord, type SearchPlace, searchAudit } from '../../../daemon/attest/audit/search.ts';
import { segmentFile } from '../../../daemon/attest/audit/segments.ts';

async function newFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-search-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Files with so many records each; versions have any length. */
async function write(folder: string, files: readonly (readonly number[])[]): Promise<number> {
  let last = chainStart;
  for (const [index, lengths] of files.entries()) {
    const lines = lengths.map((length) => {
      const text = eventText({ kind: 'gateway', what: 'started', version: 'v'.repeat(length) });
      const { bytes, link } = lineOf(last, last.seq * 1000, text);
      last = link;
      return bytes;
    });
    await writeFile(segmentFile(folder, index + 1), Buffer.concat(lines));
  }
  return last.seq;
}

/** All pages of a search. */
async function all(
  folder: string,
  change: { most: number; mostBytes: number; fits?: (record: FoundRecord) => boolean },
): Promise<{ seqs: number[]; pages: number; unreadable: number }> {
  const seqs: number[] = [];
  let before: SearchPlace | null = null;
  let unreadable = 0;
  for (let pages = 1; ; pages++) {
    const found = await searchAudit({
      ...{ folder, before, mayFit: () => true, fits: () => true, isOver: () => false },
      ...change,
    });
    seqs.push(...found.records.map(({ seq }) => seq));
    unreadable += found.unreadable;
    if (found.next === null) return { seqs, pages, unreadable };
    before = found.next;
  }
}
const down = (from: number): number[] => Array.from({ length: from }, (_, index) => from - index);

t.test('every record once, the newest first, however it is cut', async (t) => {
  const folder = await newFolder(t);
  const length = fc.oneof(fc.nat(200), fc.integer({ min: 60_000, max: 120_000 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(length, { maxLength: 12 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 300_000 }),
      async (files, most, mostBytes) => {
        const part = await mkdtemp(path.join(folder, 'run-'));
        const count = await write(part, files);
        t.same((await all(part, { most, mostBytes })).seqs, down(count));
      },
    ),
    { numRuns: 25 },
  );
});

t.test('what is being written, and what is no record, is passed over', async (t) => {
  const folder = await newFolder(t);
  const count = await write(folder, [[5, 5, 5]]);
  await appendFile(segmentFile(folder, 1), '{"seq":4,"at":1');
  t.same(
    (await all(folder, { most: 2, mostBytes: 1 << 20 })).seqs,
    down(count),
    'an incomplete line is none',
  );
  await appendFile(segmentFile(folder, 1), `\nnonsense\n${'x'.repeat(3 * mostLineBytes)}\n`);
  const found = await all(folder, { most: 2, mostBytes: 1 << 20 });
  t.same(found.seqs, down(count));
  t.ok(found.unreadable >= 3, `${found.unreadable} are told of`);
});

t.test('a search stops at its bounds, and goes on where it stopped', async (t) => {
  const folder = await newFolder(t);
  await write(folder, [Array<number>(400).fill(1000)]);
  const first = await searchAudit({
    ...{ folder, before: null, mayFit: () => true, fits: ({ seq }) => seq === 7, isOver: () => false },
    ...{ most: 10, mostBytes: 50_000 },
  });
  t.match(first, { records: [], isCutShort: true });
  t.ok(first.bytesRead < 60_000);
  const { seqs, pages } = await all(folder, { most: 10, mostBytes: 50_000, fits: ({ seq }) => seq === 7 });
  t.same(seqs, [7]);
  t.ok(pages > 5);
  const old = await searchAudit({
    ...{ folder, before: null, mayFit: () => true, fits: () => false, isOver: ({ at }) => at < 390_000 },
    ...{ most: 10, mostBytes: 1 << 30 },
  });
  t.equal(old.next, null);
  t.ok(old.bytesRead < 20_000, 'what is older than wanted is not read');
});
