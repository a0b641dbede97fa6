/** A part: the embedded broker alone, counting what it hands to the gateway's code. */
import { type Broker, startBroker } from '../../daemon/bridge/broker/broker.ts';
import { systemClock } from '../../daemon/clock.ts';
import { silentLog } from '../../daemon/log.ts';
import { openAuthority, site } from '../certificates.ts';
import { serve } from '../processes.ts';

/** Its limits on one client are there to be hit; what is measured here is what lies beyond them. */
const noRate = { burst: 1e9, perSecond: 1e9 };

let broker: Broker | null = null;
let messages = 0;

serve({
  start: async ({ stateDir }: { stateDir: string }) => {
    const authority = await openAuthority(stateDir);
    const server = await authority.serverCertificate(['localhost', '127.0.0.1']);
    broker = await startBroker({
      host: '127.0.0.1',
      port: 0,
      site,
      gateway: 'gateway',
      serverKeyPem: server.privateKeyPem,
      serverCertificatePem: server.certificatePem,
      clientCaPem: authority.certificatePem,
      maxConnections: 100,
      identify: (certificate) => authority.identify(certificate),
      isAllowed: () => true,
      clock: systemClock,
      log: silentLog,
      limits: { packets: noRate, messages: noRate },
    });
    broker.onMessage(() => {
      messages++;
    });
    return broker.port;
  },
  messages: () => messages,
});
