import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { CountingSocket, exchangeBare, MessageCounter } from '../../bench/tpm-wire.ts';
import { swtpm } from '../../daemon/attest/tpm2/index.ts';

/** A message of so many bytes. */
const message = (bytes: number): Buffer => {
  const made = Buffer.alloc(bytes, 0xa5);
  made.writeUInt16BE(0x8001, 0);
  made.writeUInt32BE(bytes, 2);
  return made;
};

t.test('messages are counted however the stream is cut', async () => {
  const sizes = fc.array(fc.integer({ min: 10, max: 60 }), { maxLength: 8 });
  fc.assert(
    fc.property(sizes, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (lengths, cuts) => {
      const stream = Buffer.concat(lengths.map(message));
      const counter = new MessageCounter();
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const end = at + (cuts[turn % cuts.length] ?? 1);
        counter.take(stream.subarray(at, end));
        at = end;
      }
      return counter.count === lengths.length;
    }),
  );
});

t.test('a size that is smaller than a header does not hold it up for ever', async (t) => {
  const counter = new MessageCounter();
  counter.take(Buffer.alloc(25));
  t.equal(counter.count, 2);
});

/** The path of a socket may have 107 bytes (unix(7)), which folders of tests are too long for. */
async function shortFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-wire-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Answers each command with one of 14 bytes. */
async function echo(t: Test, file: string): Promise<{ commands: number }> {
  const seen = { commands: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const counter = new MessageCounter();
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      const before = counter.count;
      counter.take(bytes);
      seen.commands = counter.count;
      for (let at = before; at < counter.count; at++) socket.write(message(14));
    });
  });
  server.listen(file);
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return seen;
}

t.test('commands that pass are counted once, and asked for once', async (t) => {
  const folder = await shortFolder(t);
  const [target, way] = [path.join(folder, 'tpm'), path.join(folder, 'way')];
  await writeFile(`${target}.ctrl`, '');
  await echo(t, target);
  const counting = await CountingSocket.open(way, target);
  t.teardown(() => counting.close());
  const transport = swtpm({ path: way });
  for (let times = 0; times < 3; times++) t.same(await transport.exchange(message(12), 5000), message(14));
  await transport.close();
  t.equal(counting.take(), 3);
  t.equal(counting.take(), 0);
});

t.test('the bare client sends as many as it was told, one after the other', async (t) => {
  const file = path.join(await shortFolder(t), 'tpm');
  const seen = await echo(t, file);
  await exchangeBare(file, message(20), 7);
  t.equal(seen.commands, 7);
});
