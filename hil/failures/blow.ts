/** Hits one part of a site, and puts it right again. */
import type { Round } from './plan.ts';
import type { FailureSite, GatewaySeat } from './site.ts';
import type { Way } from './way.ts';

/** Hits it. @returns what puts it right; resolves when the part is there again */
export async function strike(site: FailureSite, round: Round): Promise<() => Promise<void>> {
  const gateway = site.gateways[round.gateway - 1];
  if (gateway === undefined) throw new Error(`there is no gateway ${round.gateway}`);
  switch (round.blow) {
    case 'kill':
      return await kill(site, round, gateway);
    case 'freeze': {
      const signal = signalTo(site, round, gateway);
      signal('SIGSTOP');
      return async () => signal('SIGCONT');
    }
    case 'cut': {
      const ways = waysOf(site, round, gateway);
      for (const way of ways) way.cut();
      return async () => {
        for (const way of ways) way.mend();
      };
    }
  }
}

async function kill(
  site: FailureSite,
  { victim }: Round,
  gateway: GatewaySeat,
): Promise<() => Promise<void>> {
  switch (victim) {
    case 'gateway':
      await gateway.process.end('SIGKILL');
      return () => gateway.start();
    case 'broker':
      await site.broker.kill();
      return () => site.broker.start();
    case 'API server':
      await site.front.end('SIGKILL');
      return () => site.startFront();
  }
}

function signalTo(
  site: FailureSite,
  { victim }: Round,
  gateway: GatewaySeat,
): (signal: 'SIGSTOP' | 'SIGCONT') => void {
  switch (victim) {
    case 'gateway':
      return (signal) => gateway.process.signal(signal);
    case 'API server':
      return (signal) => site.front.signal(signal);
    case 'broker':
      return (signal) => {
        const { pid } = site.broker.child;
        // RabbitMQ is a script with the machine as its child: they are a group of their own.
        if (pid !== undefined) process.kill(-pid, signal);
      };
  }
}

function waysOf(site: FailureSite, { victim, ways }: Round, gateway: GatewaySeat): readonly Way[] {
  switch (victim) {
    case 'gateway':
      return [
        ...(ways === 'to the API server' ? [] : [gateway.toBroker]),
        ...(ways === 'to the broker' ? [] : [gateway.toApi]),
      ];
    case 'broker':
      return [site.surfacesToBroker, ...site.gateways.map(({ toBroker }) => toBroker)];
    case 'API server':
      return site.gateways.map(({ toApi }) => toApi);
  }
}

/** Whether what was sent to the API server before arrives after it. */
export const holdsBack = ({ victim, blow, ways }: Round): boolean =>
  victim === 'API server'
    ? blow !== 'kill'
    : victim === 'gateway' && blow === 'cut' && ways !== 'to the broker';

/** In words, for the line of a round. */
export function wordsOf({ victim, blow, gateway, ways, lastsMs }: Round): string {
  const which = victim === 'gateway' ? `gateway ${gateway}` : victim;
  const where = victim === 'gateway' && blow === 'cut' && ways !== 'both' ? ` ${ways}` : '';
  return `${blow} ${which}${where} for ${(lastsMs / 1000).toFixed(1)} s`;
}
