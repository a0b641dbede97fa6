import t from 'tap';
import type { WantedUpdate } from '../../../daemon/bridge/link/updater.ts';
import { decode, teleMessage } from '../../../daemon/bridge/wire/messages.ts';
import { authority, startBed } from '../broker/bed.ts';
import { credentialsFor } from '../pki.ts';
import { Gateway, startLink } from './rig.ts';

t.test(
  'how it stands to updates is told after each birth and at each change, and to the panel',
  async (t) => {
    const bed = await startBed(t);
    const gateway = Gateway.on(bed.broker);
    const credentials = await credentialsFor(authority, 'desk', bed.broker.port);
    const rig = startLink(t, credentials);
    const told = (): string[] =>
      bed.messages
        .filter(({ topic }) => topic.endsWith('/up/tele'))
        .map(({ payload }) => decode(teleMessage, payload))
        .map((read) => (read.ok ? (read.message.update?.state ?? '-') : read.problem));
    const births = (): number => bed.messages.filter(({ topic }) => topic.endsWith('/up/birth')).length;
    await bed.until(() => births() === 1);
    await gateway.beat();
    await rig.until(() => rig.link.state === 'online');
    t.same(told(), [], 'who has nothing to say of updates says nothing');

    rig.link.report({ state: 'idle', version: null, detail: '' });
    await bed.until(() => told().length === 1);
    const wanted: WantedUpdate[] = [];
    rig.link.onUpdate((update) => wanted.push(update));
    const manifestSha256 = 'ab'.repeat(32);
    await gateway.say('desk/down/ctl', { v: 1, type: 'update', version: '1.2.0', manifestSha256 });
    await rig.until(() => wanted.length === 1);
    t.same(wanted, [{ version: '1.2.0', manifestSha256, caPem: credentials.caPem }]);

    rig.link.report({ state: 'installing', version: '1.2.0', detail: '' });
    await bed.until(() => told().length === 2);
    t.equal(rig.link.status().detail, 'Installing 1.2.0.');
    t.match(
      rig.inputs.at(-1),
      { type: 'link', state: 'online', detail: 'Installing 1.2.0.' },
      'the panel can say it',
    );
    rig.link.report({ state: 'restarting', version: '1.2.0', detail: '' });
    t.equal(rig.link.status().detail, 'Will restart with 1.2.0.');
    await gateway.say('desk/down/ctl', { v: 1, type: 'rebirth' });
    await bed.until(() => births() === 2 && told().length === 4);
    t.same(told(), ['idle', 'installing', 'restarting', 'restarting']);
    const order = bed.messages.map(({ topic }) => topic.split('/').at(-1)).slice(-2);
    t.same(order, ['birth', 'tele']);

    await gateway.say('desk/down/ctl', { v: 1, type: 'update', version: '1.2.0', manifestSha256: 'short' });
    await gateway.say('desk/down/ctl', { v: 1, type: 'of-tomorrow' });
    await rig.until(() => rig.link.status().counters.bad === 2);
    t.equal(rig.link.state, 'online', 'what it does not understand does no harm');
    t.equal(wanted.length, 1);
  },
);
