/** A TLS server that speaks MQTT as badly as a test wants. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { parser as createParser, generate, type Packet } from 'mqtt-packet';
import type { Test } from 'tap';
import type { Authority, Issued } from '../pki.ts';

export interface Peer {
  readonly socket: TLSSocket;
  /** Number of this connection, from 0. */
  readonly index: number;
  send(packet: Packet): void;
}

export interface FalseBroker {
  readonly port: number;
  /** Connections so far. */
  readonly connections: () => number;
  /** CONNECT packets so far. */
  readonly received: Packet[];
}

/** What a broker of good manners does; tests replace the part that is to go wrong. */
export function answerWell(packet: Packet, peer: Peer): void {
  if (packet.cmd === 'connect') peer.send({ cmd: 'connack', returnCode: 0, sessionPresent: false });
  if (packet.cmd === 'subscribe')
    peer.send({
      cmd: 'suback',
      messageId: packet.messageId ?? 0,
      granted: packet.subscriptions.map(() => 1),
    });
  if (packet.cmd === 'publish' && packet.qos === 1)
    peer.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
  if (packet.cmd === 'pingreq') peer.send({ cmd: 'pingresp' });
}

export async function startFalseBroker(
  t: Test,
  authority: Authority,
  onPacket: (packet: Packet, peer: Peer) => void,
  certificate?: Issued,
): Promise<FalseBroker> {
  const { keyPem, certificatePem } = certificate ?? (await authority.server());
  const sockets = new Set<TLSSocket>();
  const received: Packet[] = [];
  let count = 0;
  const server = createServer({ key: keyPem, cert: certificatePem, minVersion: 'TLSv1.3' }, (socket) => {
    const index = count;
    count += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    const parser = createParser({ protocolVersion: 4 });
    const peer: Peer = { socket, index, send: (packet) => void socket.write(generate(packet)) };
    parser.on('packet', (packet) => {
      received.push(packet);
      onPacket(packet, peer);
    });
    socket.on('data', (chunk) => parser.parse(chunk));
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => count, received };
}
