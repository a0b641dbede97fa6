/** Events out of bytes that come in any portions. */
import { Readable } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { KubeError } from '../../../daemon/bridge/kube/types.ts';
import { ResyncError, watchEvents } from '../../../daemon/bridge/kube/watch-stream.ts';

async function read(chunks: readonly Buffer[], maxLineBytes = 10_000): Promise<string[]> {
  const types: string[] = [];
  for await (const events of watchEvents(Readable.from(chunks), maxLineBytes)) {
    for (const { type, object } of events) types.push(`${type} ${String(object.name)}`);
  }
  return types;
}

t.test('cuts between chunks do not matter, not even inside a character', async (t) => {
  const types = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'];
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ type: fc.constantFrom(...types), name: fc.string({ unit: 'grapheme', maxLength: 20 }) }),
      ),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      async (events, sizes) => {
        const lines = events.map(({ type, name }) => `${JSON.stringify({ type, object: { name } })}\n`);
        const bytes = Buffer.from(lines.join(''));
        const chunks: Buffer[] = [];
        for (let at = 0, index = 0; at < bytes.length; index++) {
          const size = sizes[index % sizes.length]!;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        t.same(
          await read(chunks),
          events.map(({ type, name }) => `${type} ${name}`),
        );
      },
    ),
    { numRuns: 50 },
  );
});

t.test('what is no event asks for a new list', async (t) => {
  for (const line of ['{', 'null', '[]', '{"type":"PATCHED"}', '"ADDED"'])
    await t.rejects(read([Buffer.from(`${line}\n`)]), ResyncError);
  await t.rejects(read([Buffer.alloc(11_000, 'x')]), ResyncError);
  const error = Buffer.from(
    '{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old"}}\n',
  );
  await t.rejects(read([error]), KubeError);
  t.same(
    await read([Buffer.from('\n\n{"type":"ADDED","object":{"name":"a"}}')]),
    [],
    'an end without line feed is cut',
  );
});

t.test('any bytes end in events or in an error of these two', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 })), async (chunks) => {
      try {
        await read(chunks.map((chunk) => Buffer.from(chunk)));
      } catch (error) {
        if (!(error instanceof ResyncError) && !(error instanceof KubeError)) throw error;
      }
    }),
  );
});
