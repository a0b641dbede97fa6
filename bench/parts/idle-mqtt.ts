/** A part: the least that hears what a link hears, mqtt.js with the same certificate and the same subscriptions. */
import { connectAsync } from 'mqtt';
import type { Credentials } from '../../daemon/attest/types.ts';
import { surfaceFilters } from '../../daemon/bridge/wire/topics.ts';
import { serve } from '../processes.ts';

let hasHeard = false;

serve({
  start: async ({ broker, caPem, certificatePem, privateKeyPem, site, surface }: Credentials) => {
    const client = await connectAsync({
      protocol: 'mqtts',
      ...broker,
      ca: caPem,
      cert: certificatePem,
      key: privateKeyPem,
      clientId: surface,
    });
    client.on('message', () => {
      hasHeard = true;
    });
    await client.subscribeAsync([...surfaceFilters(site, surface)], { qos: 1 });
  },
  isOnline: () => hasHeard,
});
