/** A part: what a gateway needs beside an external broker, an MQTT client that gets every message. */
import { connectAsync } from 'mqtt';
import { gatewayFilters } from '../../daemon/bridge/wire/topics.ts';
import { type KeyPair, site } from '../certificates.ts';
import { serve } from '../processes.ts';

let messages = 0;

serve({
  start: async ({ port, ca, cert, key }: KeyPair & { port: number; ca: string }) => {
    const client = await connectAsync({ protocol: 'mqtts', host: '127.0.0.1', port, ca, cert, key });
    client.on('message', () => {
      messages++;
    });
    await client.subscribeAsync([...gatewayFilters(site)], { qos: 1 });
  },
  messages: () => messages,
});
