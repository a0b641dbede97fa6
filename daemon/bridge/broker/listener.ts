/** The broker's TLS end: mutual TLS 1.3 only, and no more unfinished handshakes than it can bear. */
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { SurfacedError } from '../../errors.ts';

export interface ListenerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly serverKeyPem: string;
  readonly serverCertificatePem: string;
  /** The only CA whose client certificates are accepted. */
  readonly clientCaPem: string;
  readonly maxConnections: number;
  readonly maxUnfinishedHandshakes: number;
  readonly handshakeTimeoutMs: number;
  /** A client with a certificate of the CA has arrived. */
  readonly onSocket: (socket: TLSSocket) => void;
  /** A connection failed before that. */
  readonly onRefused: (source: string, reason: string, kind: 'handshake' | 'full') => void;
}

export interface Listener {
  readonly port: number;
  /** Changes the server certificate for connections from now on; those that exist stay. Throws on a bad PEM. */
  setServerCertificate(keyPem: string, certificatePem: string): void;
  close(): Promise<void>;
}

/** @throws SurfacedError E_LISTEN when the address cannot be had */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const secureContext = (key: string, cert: string) => ({
    key,
    cert,
    ca: options.clientCaPem,
    minVersion: 'TLSv1.3' as const,
  });
  const server = createServer({
    ...secureContext(options.serverKeyPem, options.serverCertificatePem),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: options.handshakeTimeoutMs,
    noDelay: true,
  });
  // Unfinished handshakes come on top, so that they cannot take the places of surfaces.
  server.maxConnections = options.maxConnections + options.maxUnfinishedHandshakes;

  const unfinished = new Map<string, Socket>();
  const keyOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;
  server.on('connection', (socket: Socket) => {
    if (unfinished.size >= options.maxUnfinishedHandshakes) {
      // The oldest goes: an honest handshake is done in a moment, a slow-loris one never.
      const oldest = unfinished.entries().next().value;
      if (oldest !== undefined) {
        unfinished.delete(oldest[0]);
        oldest[1].destroy();
        options.onRefused(
          oldest[1].remoteAddress ?? 'unknown',
          'too many unfinished handshakes',
          'handshake',
        );
      }
    }
    const key = keyOf(socket);
    unfinished.set(key, socket);
    socket.once('close', () => {
      if (unfinished.get(key) === socket) unfinished.delete(key);
    });
  });
  server.on('secureConnection', (socket) => {
    unfinished.delete(keyOf(socket));
    socket.on('error', () => {});
    options.onSocket(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    socket.destroy();
    options.onRefused(socket.remoteAddress ?? 'unknown', `TLS: ${error.message}`, 'handshake');
  });
  server.on('drop', (data) =>
    options.onRefused(data?.remoteAddress ?? 'unknown', 'too many connections', 'full'),
  );

  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void => {
      reject(
        new SurfacedError('E_LISTEN', `broker.listen: cannot listen on ${options.host}:${options.port}`, {
          cause,
        }),
      );
    };
    server.once('error', refuse);
    server.listen(options.port, options.host, () => {
      server.off('error', refuse);
      resolve();
    });
  });
  // Running out of file descriptors while accepting must not end the process.
  server.on('error', (error) => options.onRefused('listener', error.message, 'full'));

  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    setServerCertificate: (keyPem, certificatePem) =>
      server.setSecureContext(secureContext(keyPem, certificatePem)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of unfinished.values()) socket.destroy();
      }),
  };
}
