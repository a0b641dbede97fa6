import t, { type Test } from 'tap';
import { LeanSurface } from '../../bench/parts/lean-surface.ts';
import { encode } from '../../daemon/bridge/wire/messages.ts';
import { ackTopic, ctlTopic, parseTopic, slotTopic, wireVersion } from '../../daemon/bridge/wire/topics.ts';
import { authority, type Bed, startBed } from '../bridge/broker/bed.ts';
import { identify } from '../bridge/pki.ts';

const site = 'bench';

async function start(
  t: Test,
): Promise<{ bed: Bed; surface: LeanSurface; heard: string[]; served: Promise<void> }> {
  const bed = await startBed(t, { site, identify });
  const { certificatePem: cert, keyPem: key } = await authority.client('desk', { site });
  const heard: string[] = [];
  let tell = (): void => {};
  const served = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const surface = new LeanSurface({
    ...{ name: 'desk', cert, key, ca: authority.caPem, port: bed.broker.port, controls: ['show', 'knob1'] },
    heard: {
      served: () => tell(),
      ack: (_surface, { phase }) => heard.push(phase),
      slot: (_surface, slot) => heard.push(`slot ${slot}`),
    },
  });
  t.teardown(() => surface.stop());
  surface.connect();
  return { bed, surface, heard, served };
}

const leaves = ({ messages }: Bed): string[] => messages.map(({ topic }) => parseTopic(topic)?.leaf ?? '');

t.test(
  'it comes as a surface does, and is served by bindings and all slots with what is known',
  async (t) => {
    const { bed, surface, heard, served } = await start(t);
    await bed.until(() => leaves(bed).includes('birth'));
    t.same(leaves(bed), ['status', 'birth']);
    const say = (topic: string, message: object): Promise<void> =>
      bed.broker.publish(topic, Buffer.from(JSON.stringify({ v: wireVersion, ...message })), {
        ...{ qos: 1, isRetained: false },
      });
    const slot = (number: number, state: string) =>
      say(slotTopic(site, 'desk', number), { desired: 2, condition: { state } });
    await slot(0, 'ok');
    await say(ctlTopic(site, 'desk'), { type: 'bindings', rev: 1, part: 0, parts: 1, bindings: [] });
    await slot(0, 'ok');
    await slot(1, 'unknown');
    await say(ackTopic(site, 'desk'), { id: 'x', phase: 'accepted' });
    await say(ctlTopic(site, 'desk'), { type: 'rebirth' });
    await bed.until(() => leaves(bed).filter((leaf) => leaf === 'birth').length === 2);
    t.ok(Number.isNaN(surface.servedAt), 'one of its slots says that nothing is known');
    await slot(1, 'ok');
    await served;
    t.notOk(Number.isNaN(surface.servedAt));
    t.same(heard, ['slot 0', 'slot 0', 'slot 1', 'accepted', 'slot 1']);
  },
);

t.test('a command goes out only while it is connected', async (t) => {
  const { bed, surface } = await start(t);
  t.equal(surface.command(0, 3, 2), null);
  await bed.until(() => leaves(bed).includes('birth'));
  const id = surface.command(1, 3, 2);
  t.match(id, /^[0-9a-f]{16}-1$/);
  await bed.until(() => leaves(bed).includes('cmd'));
  t.match(JSON.parse(String(bed.messages.at(-1)?.payload)), { id, slot: 1, want: 3, saw: 2 });
});

t.test('it shows its certificate when it is asked', async (t) => {
  const { bed } = await start(t);
  await bed.until(() => leaves(bed).includes('birth'));
  await bed.broker.publish(
    ctlTopic(site, 'desk'),
    encode({ v: wireVersion, type: 'show-certificate' } as never),
    {
      ...{ qos: 1, isRetained: false },
    },
  );
  await bed.until(() => leaves(bed).includes('certificate'));
});

t.test('thrown out, it comes back by itself', async (t) => {
  const { bed, surface } = await start(t);
  await bed.until(() => leaves(bed).includes('birth'));
  bed.broker.disconnect('desk', 'test');
  await bed.until(() => leaves(bed).filter((leaf) => leaf === 'birth').length === 2);
  t.equal(surface.failures, 0, 'it had been connected');
});
