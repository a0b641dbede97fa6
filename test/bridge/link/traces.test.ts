import t from 'tap';
import { type CommandMessage, commandMessage, decode } from '../../../daemon/bridge/wire/messages.ts';
import { parseTraceparent } from '../../../daemon/bridge/wire/traceparent.ts';
import { authority, startBed } from '../broker/bed.ts';
import { credentialsFor } from '../pki.ts';
import { Gateway, startLink } from './rig.ts';

t.test('a command carries a trace only for a gateway that has asked for it', async (t) => {
  const bed = await startBed(t);
  const gateway = Gateway.on(bed.broker);
  const rig = startLink(t, await credentialsFor(authority, 'desk', bed.broker.port));
  await bed.until(() => bed.messages.some(({ topic }) => topic.endsWith('/up/birth')));
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  const commands = (): CommandMessage[] =>
    bed.messages
      .filter(({ topic }) => topic.endsWith('/up/cmd'))
      .map(({ payload }) => decode(commandMessage, payload))
      .flatMap((read) => (read.ok ? [read.message] : []));
  let seq = 0;
  const send = async (): Promise<CommandMessage | undefined> => {
    seq += 1;
    rig.link.send({ seq, slot: 0, want: 2, saw: 1, arm: [] });
    await bed.until(() => commands().length === seq);
    return commands().at(-1);
  };
  t.notOk(Object.hasOwn((await send()) ?? {}, 'traceparent'), 'a gateway of before would refuse it');

  await gateway.say('desk/down/ctl', { v: 1, type: 'tracing' });
  // What comes behind it on the same way has been read when it shows.
  await gateway.beat({ apiHealthy: false, detail: 'asked' });
  await rig.until(() => rig.link.state === 'stale');
  await gateway.beat();
  await rig.until(() => rig.link.state === 'online');
  const [one, other] = [(await send())?.traceparent, (await send())?.traceparent];
  t.match(parseTraceparent(one), { isSampled: true });
  t.not(parseTraceparent(one)?.traceId, parseTraceparent(other)?.traceId, 'each has its own');
  t.match(
    rig.lines.find(({ msg }) => msg === 'command sent'),
    { id: commands()[0]?.id },
    'the log has the id',
  );

  await gateway.say('desk/down/ctl', {
    ...{ v: 1, type: 'bindings', rev: 7, part: 0, parts: 1, bindings: [], trust: 'token' },
  });
  await rig.until(() => rig.inputs.some(({ type }) => type === 'bindings'));
  t.notOk(Object.hasOwn((await send()) ?? {}, 'traceparent'), 'these may be the bindings of another gateway');
});
