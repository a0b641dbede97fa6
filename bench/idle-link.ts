/** What a link costs while nobody touches anything, beside a bare MQTT client on the same gateway. */
import { createTokenCredentials } from '../daemon/attest/enrol/client.ts';
import type { Credentials } from '../daemon/attest/types.ts';
import { systemClock } from '../daemon/clock.ts';
import { silentLog } from '../daemon/log.ts';
import { Part, residentMib, threadSeconds } from './processes.ts';
import { binding, Stack } from './stack.ts';
import { compare } from './statistics.ts';
import type { Bench, BenchContext, Findings } from './types.ts';

const rounds = { full: 3, quick: 1 };
const idleSeconds = { full: 10, quick: 6 };
/** Start-up and its garbage are over by then. */
const calmMs = 4000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function credentialsOf(stack: Stack, surface: string): Promise<Credentials> {
  const source = createTokenCredentials({
    config: stack.gatewayAddress,
    token: await stack.token(surface),
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  const credentials = await source.current(new AbortController().signal);
  source.stop();
  return credentials;
}

async function started(context: BenchContext, name: string, credentials: Credentials): Promise<Part> {
  const part = new Part(name);
  context.defer(() => part.end());
  await part.call('start', credentials);
  while (!(await part.call<boolean>('isOnline'))) await sleep(50);
  return part;
}

async function run(context: BenchContext): Promise<Findings> {
  const stack = await Stack.start(context, {
    deployments: [{ name: 'web', replicas: 3 }],
    surfaces: { desk: [binding('fader1', 'web', 8)], bare: [binding('fader1', 'web', 8)] },
  });
  const link = await started(context, 'idle-link', await credentialsOf(stack, 'desk'));
  const client = await started(context, 'idle-mqtt', await credentialsOf(stack, 'bare'));
  await sleep(calmMs);
  const seconds = context.isQuick ? idleSeconds.quick : idleSeconds.full;
  const measured = { linkMib: [], clientMib: [], linkCpu: [], clientCpu: [] } as Record<
    'linkMib' | 'clientMib' | 'linkCpu' | 'clientCpu',
    number[]
  >;
  for (let round = 0; round < (context.isQuick ? rounds.quick : rounds.full); round++) {
    const before = { link: threadSeconds(link.pid), client: threadSeconds(client.pid) };
    await sleep(seconds * 1000);
    measured.linkCpu.push(((threadSeconds(link.pid) - before.link) * 1000) / seconds);
    measured.clientCpu.push(((threadSeconds(client.pid) - before.client) * 1000) / seconds);
    measured.linkMib.push(residentMib(link.pid));
    measured.clientMib.push(residentMib(client.pid));
  }
  const peer = 'bare mqtt.js client';
  return {
    rows: [
      {
        what: 'link and surface, idle: resident memory',
        unit: 'MiB',
        ...compare(measured.linkMib, measured.clientMib),
        peer,
        aim: null,
      },
      {
        what: 'the same: CPU time a second',
        unit: 'ms',
        ...compare(measured.linkCpu, measured.clientCpu),
        peer,
        aim: null,
      },
    ],
    details: { seconds, ...measured },
  };
}

export const idleLink: Bench = {
  name: 'idle-link',
  title: 'Link and surface, idle',
  needs: [],
  run,
};
