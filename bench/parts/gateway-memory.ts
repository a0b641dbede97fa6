/** A part: a whole gateway, and how much memory it takes. */
import { systemClock } from '../../daemon/clock.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { startGateway } from '../../daemon/gateway.ts';
import { silentLog } from '../../daemon/log.ts';
import { settledMemory } from '../memory.ts';
import { serve } from '../processes.ts';

serve({
  start: async ({ configText }: { configText: string }) => {
    const config = parseConfig('Gateway', configText, 'the bench');
    await startGateway({ config, clock: systemClock, random: Math.random, log: silentLog });
  },
  memory: settledMemory,
});
