/** A way that is cut lets nothing through and tells nobody; mended, it brings what was sent. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Way } from '../../../hil/failures/way.ts';

async function rig(t: Test) {
  const taken: Socket[] = [];
  const server = createServer((socket) => {
    taken.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk}`));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const way = await Way.open((server.address() as AddressInfo).port, 0);
  t.teardown(() => {
    way.close();
    for (const socket of taken) socket.destroy();
    server.close();
  });
  const client = async (): Promise<Socket> => {
    const socket = connect(way.port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  return { way, taken, client };
}

const heard = async (socket: Socket): Promise<string> => {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString();
};

t.test('what is sent while it is cut comes when it is mended, to old connections and new ones', async (t) => {
  const { way, taken, client } = await rig(t);
  const old = await client();
  old.write('one');
  t.equal(await heard(old), 'echo one');
  way.cut();
  old.write('two');
  const late = await client();
  late.write('three');
  let isHeard = false;
  for (const socket of [old, late]) socket.once('data', () => (isHeard = true));
  // Another way shows that there was time enough for it.
  const other = await rig(t);
  const witness = await other.client();
  witness.write('one');
  await heard(witness);
  t.notOk(isHeard);
  t.equal(taken.length, 1, 'nobody came through');
  const answers = [heard(old), heard(late)];
  way.mend();
  t.same(await Promise.all(answers), ['echo two', 'echo three']);
});

t.test('the end of one side is the end of the other', async (t) => {
  const { taken, client } = await rig(t);
  const socket = await client();
  socket.write('one');
  await heard(socket);
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  taken[0]?.resetAndDestroy();
  await ended;
  t.pass();
});
