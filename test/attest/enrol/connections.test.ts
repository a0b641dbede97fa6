import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { shareConnections } from '../../../daemon/attest/enrol/connections.ts';
import { createKey } from '../../../daemon/attest/enrol/exchange.ts';
import { rawClient, startRig } from './rig.ts';

/** A server that bears four connections, and who connects to it; here the address says which surface has a certificate. */
async function start(t: Test) {
  const rig = await startRig(t);
  const { certificatePem: cert, privateKeyPem: key } = await rig.authority.serverCertificate(['localhost']);
  const server = createServer({ cert, key });
  const surfaces = new Map<string, string>();
  shareConnections(server, {
    most: 4,
    surfaceOf: ({ remoteAddress = '' }) => surfaces.get(remoteAddress) ?? null,
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const open: Socket[] = [];
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const kept = (socket: Socket): void => {
    socket.on('error', () => {});
    open.push(socket);
  };
  /** The server's end of a connection, as TCP has it. */
  const arrived = async (): Promise<Socket> => ((await once(server, 'connection')) as [Socket])[0];
  return {
    surfaces,
    clients: open,
    /** A connection that says nothing. */
    silent: async (localAddress: string): Promise<Socket> => {
      kept(connectTcp({ port, host: '127.0.0.1', localAddress }));
      return arrived();
    },
    /** One that has gone through the handshake. */
    secured: async (localAddress: string): Promise<Socket> => {
      const options = { port, host: '127.0.0.1', localAddress, rejectUnauthorized: false };
      kept(connect(options as ConnectionOptions));
      return (await Promise.all([arrived(), once(server, 'secureConnection')]))[0];
    },
  };
}

t.test('who has the most connections loses the oldest', async (t) => {
  const { silent, secured } = await start(t);
  const honest = await secured('127.0.0.2');
  const [first, second] = [await silent('127.0.0.9'), await silent('127.0.0.9')];
  await silent('127.0.0.9');
  t.equal(first.destroyed, false, 'as many as there are places');
  await silent('127.0.0.9');
  t.equal(first.destroyed, true);
  const late = await secured('127.0.0.3');
  t.equal(second.destroyed, true);
  t.same([honest.destroyed, late.destroyed], [false, false], 'there is always a place for who comes');
});

t.test('a connection that is gone has no place', async (t) => {
  const { silent, clients } = await start(t);
  const all = [];
  for (const _ of [1, 2, 3, 4]) all.push(await silent('127.0.0.2'));
  const gone = once(all[3]!, 'close');
  clients[3]!.destroy();
  await gone;
  await silent('127.0.0.2');
  t.equal(all[0]!.destroyed, false);
  await silent('127.0.0.2');
  t.equal(all[0]!.destroyed, true);
});

t.test('surfaces have places of their own, wherever they come from', async (t) => {
  const { surfaces, silent, secured } = await start(t);
  surfaces.set('127.0.0.2', 'desk');
  surfaces.set('127.0.0.3', 'desk');
  const stranger = await silent('127.0.0.5');
  const oldest = await secured('127.0.0.2');
  await secured('127.0.0.3');
  await silent('127.0.0.4');
  await silent('127.0.0.6');
  t.equal(oldest.destroyed, true, 'two of one surface are more than one of a network');
  t.equal(stranger.destroyed, false);
});

t.test('a thousand connections from one address keep no surface out', async (t) => {
  const rig = await startRig(t);
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  const flood = async (count: number) => {
    for (let left = count; left > 0; left--) {
      const socket = connectTcp({ port: rig.port, host: '127.0.0.1', localAddress: '127.0.0.9' });
      socket.on('error', () => {}).resume();
      sockets.push(socket);
      // Not more than a listening socket queues (listen(2)).
      if (left % 100 === 1) await once(socket, 'connect');
    }
  };
  await flood(1024);
  const surface = rawClient(rig, t, { localAddress: '127.0.0.2' });
  t.equal((await surface.post('begin', { v: 1, kind: 'token', tokenId: 'abcdef' })).status, 200);
  await flood(100);
  const session = { v: 1, session: '0'.repeat(64), csr: (await createKey()).csrPem };
  t.equal((await surface.post('finish', session)).json.error.code, 'E_ENROL_SESSION', 'over the same one');
  t.equal(sockets[0]!.destroyed, true);
});
