import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { SocketPort } from '../../../hil/image/panel-port.ts';

async function place(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-port-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, 'panel');
}

t.test('a line that is there some time after it is asked for', async (t) => {
  const socketPath = await place(t);
  const plugged = SocketPort.plug(socketPath, new AbortController().signal);
  const server = createServer();
  t.teardown(() => server.close());
  const connected = once(server, 'connection');
  server.listen(socketPath);
  const port = await plugged;
  const [machine] = (await connected) as [Socket];
  machine.write(Uint8Array.of(1, 2));
  t.same(await port.next(), [1, 2]);
  const next = port.next();
  machine.write(Uint8Array.of(3));
  t.same(await next, [3], 'each byte comes once');
  port.send(4, 5);
  const [bytes] = (await once(machine, 'data')) as [Buffer];
  t.same([...bytes], [4, 5]);
  machine.resume();
  const ended = once(machine, 'close');
  await port.unplug();
  await ended;
  await port.unplug();
});

t.test('a machine that never makes it', async (t) => {
  const off = new AbortController();
  const plugged = SocketPort.plug(await place(t), off.signal);
  off.abort();
  await t.rejects(plugged, { name: 'AbortError' });
});
