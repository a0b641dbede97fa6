import type { AedesPublishPacket, Client } from 'aedes';
import t from 'tap';
import { createHooks, type HookContext } from '../../../daemon/bridge/broker/hooks.ts';
import { defaultLimits, Session } from '../../../daemon/bridge/broker/session.ts';
import { systemClock } from '../../../daemon/clock.ts';

const identity = {
  site: 'site',
  surface: 'desk',
  trust: 'tpm',
  level: 0,
  ekSha256: null,
  notAfter: 1,
  serial: '01',
} as const;
const session = new Session(identity, {} as Session['socket'], defaultLimits, systemClock);
const client = { closed: false } as Client;
const context: HookContext = {
  sessionOf: () => session,
  problemOf: () => null,
  complain: () => {},
  dropped: () => {},
  answer: () => {},
  isBacklogged: () => false,
};
const broken: HookContext = {
  ...context,
  sessionOf: () => {
    throw new Error('broken');
  },
  problemOf: () => {
    throw new Error('broken');
  },
};
type Hooks = ReturnType<typeof createHooks>;
const connectPacket = () => ({ cmd: 'connect', clientId: 'desk', clean: false }) as { clean: boolean };
const preConnect = (hooks: Hooks, packet: object): Error | null => {
  let outcome: Error | null = new Error('not answered');
  hooks.preConnect?.(client, packet as never, (error) => {
    outcome = error;
  });
  return outcome;
};

t.test('every session is made clean, whatever its CONNECT says', async (t) => {
  const packet = connectPacket();
  t.equal(preConnect(createHooks(context), packet), null);
  t.equal(packet.clean, true);
});

t.test(
  'forwarding asks the same table, so that a subscription that slipped in delivers nothing',
  async (t) => {
    const hooks = createHooks(context);
    const forward = (topic: string) => hooks.authorizeForward?.(client, { topic } as AedesPublishPacket);
    t.ok(forward('surfaced/v1/site/desk/down/ack'));
    t.ok(forward('surfaced/v1/site/_gw/gw/status'));
    for (const topic of [
      'surfaced/v1/site/victim/down/ack',
      'surfaced/v1/site/desk/up/cmd',
      'surfaced/v1/elsewhere/_gw/gw/status',
      '$SYS/x/heartbeat',
    ])
      t.equal(forward(topic), null, topic);
  },
);

t.test('a hook that fails refuses, and never throws', async (t) => {
  t.plan(6);
  const hooks = createHooks(broken);
  t.match(preConnect(hooks, connectPacket()), /broken/);
  hooks.authenticate?.(client, '', Buffer.alloc(0), (error, isAllowed) => {
    t.match(error, { returnCode: 5 });
    t.notOk(isAllowed);
  });
  hooks.authorizePublish?.(client, { topic: 'x', payload: '' } as never, (error) => t.match(error, /broken/));
  hooks.authorizeSubscribe?.(client, { topic: 'x', qos: 0 }, (_, granted) => t.equal(granted, null));
  t.equal(hooks.authorizeForward?.(client, { topic: 'x' } as AedesPublishPacket), null);
});

t.test('a publish of nobody is refused: stored wills come without a client', async (t) => {
  createHooks(context).authorizePublish?.(null, { topic: 'x', payload: '' } as never, (error) =>
    t.match(error, /without an identity/),
  );
});
