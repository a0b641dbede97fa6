/**
 * Who keeps a connection when more come than the endpoint can bear. Anybody who reaches it can open them, and a surface that
 * cannot prove itself anew is not trusted for long: nobody may take all places.
 */
import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import { networkOf } from '../network.ts';

/**
 * Closes the oldest connection of whoever has the most when there are too many. Connections that show a certificate are of
 * their surface, all others of the network that they come from.
 * @param options.most connections at a time
 * @param options.surfaceOf whose certificate a connection shows, null: it shows none that holds
 */
export function shareConnections(
  server: Server,
  options: { readonly most: number; readonly surfaceOf: (socket: TLSSocket) => string | null },
): void {
  const { most, surfaceOf } = options;
  /** Connections by their owner, the oldest first. */
  const owners = new Map<string, Set<Socket>>();
  const ownerOf = new Map<Socket, string>();
  /** TLS hands out a socket of its own; both have the same peer. */
  const byPeer = new Map<string, Socket>();
  const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

  const leave = (socket: Socket): void => {
    const owner = ownerOf.get(socket);
    if (owner === undefined) return;
    ownerOf.delete(socket);
    const held = owners.get(owner);
    held?.delete(socket);
    if (held?.size === 0) owners.delete(owner);
  };
  const enter = (socket: Socket, owner: string): void => {
    ownerOf.set(socket, owner);
    const held = owners.get(owner) ?? new Set();
    owners.set(owner, held.add(socket));
  };
  const closeOne = (): void => {
    let greatest: ReadonlySet<Socket> = new Set();
    for (const held of owners.values()) if (held.size > greatest.size) greatest = held;
    const [oldest] = greatest;
    if (oldest === undefined) return;
    leave(oldest);
    oldest.destroy();
  };

  // One more each is for those that are closed and not yet gone.
  server.maxConnections = 2 * most;
  server.on('connection', (socket: Socket) => {
    if (ownerOf.size >= most) closeOne();
    const peer = peerOf(socket);
    enter(socket, `network ${networkOf(socket.remoteAddress ?? '')}`);
    byPeer.set(peer, socket);
    socket.once('close', () => {
      leave(socket);
      if (byPeer.get(peer) === socket) byPeer.delete(peer);
    });
  });
  server.on('secureConnection', (secured) => {
    const socket = byPeer.get(peerOf(secured));
    const surface = surfaceOf(secured);
    if (socket === undefined || surface === null || !ownerOf.has(socket)) return;
    leave(socket);
    enter(socket, `surface ${surface}`);
  });
}
