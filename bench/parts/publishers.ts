/**
 * A part: surfaces that publish QoS 1 as fast as their window lets them. Bytes are made once and only the packet
 * identifier is set (MQTT 3.1.1, 3.3.2.2), so that this process is not what is measured.
 */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { generate } from 'mqtt-packet';
import { upTopic } from '../../daemon/bridge/wire/topics.ts';
import { type KeyPair, site } from '../certificates.ts';
import { serve } from '../processes.ts';

export interface PublishersOptions {
  readonly port: number;
  readonly ca: string;
  readonly surfaces: readonly (KeyPair & { readonly name: string })[];
  /** Unanswered publishes of one surface at most. */
  readonly window: number;
  readonly payload: string;
}

const connackBytes = 4;
const pubackBytes = 4;
const largestIdentifier = 0xffff;

let acknowledged = 0;

function publish(socket: TLSSocket, packet: Buffer, identifierAt: number, window: number): void {
  let identifier = 0;
  const send = (): void => {
    identifier = (identifier % largestIdentifier) + 1;
    packet.writeUInt16BE(identifier, identifierAt);
    // A copy, as the socket may still hold the last one.
    socket.write(Buffer.from(packet));
  };
  let rest = 0;
  socket.on('data', (chunk) => {
    // After CONNACK nothing but PUBACKs of four bytes comes.
    rest += chunk.length;
    const answers = Math.floor(rest / pubackBytes);
    rest %= pubackBytes;
    acknowledged += answers;
    socket.cork();
    for (let index = 0; index < answers; index++) send();
    socket.uncork();
  });
  for (let index = 0; index < window; index++) send();
}

serve({
  start: async ({ port, ca, surfaces, window, payload }: PublishersOptions) => {
    for (const { name, cert, key } of surfaces) {
      const socket = connect({ host: '127.0.0.1', port, ca, cert, key, minVersion: 'TLSv1.3' });
      await once(socket, 'secureConnect');
      socket.setNoDelay(true);
      socket.write(
        generate({
          cmd: 'connect',
          protocolId: 'MQTT',
          protocolVersion: 4,
          clean: true,
          clientId: name,
          keepalive: 60,
        }),
      );
      const [connack] = (await once(socket, 'data')) as [Buffer];
      if (connack.length !== connackBytes || connack[3] !== 0) throw new Error(`${name} was refused`);
      const topic = upTopic(site, name, 'cmd');
      const packet = generate({
        cmd: 'publish',
        topic,
        payload,
        qos: 1,
        messageId: 1,
        dup: false,
        retain: false,
      });
      publish(socket, packet, packet.indexOf(topic) + Buffer.byteLength(topic), window);
    }
  },
  acknowledged: () => acknowledged,
});
