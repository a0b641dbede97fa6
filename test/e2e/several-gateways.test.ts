/** Two gateways on mosquitto: one acts for each surface, and when one goes the other does. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { shardOf } from '../../daemon/bridge/shards/shard-of.ts';
import { deploymentRef } from '../../hil/sim/cluster/cluster.ts';
import { skipOf } from '../bridge/external/brokers.ts';
import { type Desk, type Several, several, until } from './several-site.ts';

const endOfAny = (desk: Desk, seq: number) => until(() => desk.ends(seq).length > 0);

/** Turns until it is done: right after a take-over commands are refused. Returns how the last one ended. */
async function turnUntilDone(desk: Desk, want: number): Promise<string> {
  for (;;) {
    await until(
      () => desk.link.state === 'online' && desk.slot?.desired !== null && desk.slot?.desired !== want,
    );
    const seq = desk.turn(want);
    await endOfAny(desk, seq);
    const [end = ''] = desk.ends(seq);
    if (!/BeforeStart|BindingChanged|NoAnswer|NotConnected/.test(end)) return end;
    await delay(200);
  }
}

async function holderOf({ holders }: Several, desk: Desk): Promise<string | undefined> {
  return (await holders()).get(`surfaced-shard-${shardOf(desk.name, 16)}`);
}

t.test(
  'each surface has one gateway; one that is killed or stopped is followed by the other',
  { skip: skipOf('mosquitto') },
  async (t) => {
    const rig = await several(t, 4);
    const { desks, bed } = rig;
    const first = rig.gateway(1);
    const second = rig.gateway(2);
    await Promise.all([first, second].map((gateway) => gateway.logged('gateway started')));
    await until(() => desks.every(({ bindings, slot }) => bindings === 1 && slot?.desired === 1));
    await until(async () => new Set((await rig.holders()).values()).size === 2);
    const ends = await Promise.all(desks.map((desk) => turnUntilDone(desk, 2)));
    t.same(
      ends,
      desks.map(() => 'converged'),
    );
    t.same(
      desks.map((desk) => rig.writes(desk)),
      desks.map(() => 1),
      'each was written once',
    );

    // Nothing gets ready any more, so that a command is still followed when its gateway is killed.
    for (const { name } of desks) bed.cluster.control.setNeverReady(deploymentRef('shop', name), true);
    await until(() => desks.every(({ slot }) => slot?.desired === 2));
    const flying = desks.map((desk) => [desk, desk.turn(3)] as const);
    await until(() => flying.every(([desk, seq]) => desk.has(seq, 'accepted')));
    const victims: Desk[] = [];
    for (const desk of desks) if ((await holderOf(rig, desk)) === 'gw-1') victims.push(desk);
    await first.end('SIGKILL');
    await until(() => flying.every(([desk, seq]) => !victims.includes(desk) || desk.ends(seq).length > 0));
    for (const [desk, seq] of flying)
      t.same(desk.ends(seq), victims.includes(desk) ? ['expired GatewayRestarted'] : [], desk.name);
    await until(async () => new Set((await rig.holders()).values()).size === 1);
    t.same(
      desks.map((desk) => rig.writes(desk)),
      desks.map(() => 2),
      'nobody did it again',
    );

    for (const { name } of desks) bed.cluster.control.setNeverReady(deploymentRef('shop', name), false);
    const after = await Promise.all(desks.map((desk) => turnUntilDone(desk, 4)));
    t.same(
      after,
      desks.map(() => 'converged'),
      'the other serves them all',
    );
    t.same(
      desks.map((desk) => rig.writes(desk)),
      desks.map(() => 3),
    );

    // On purpose: what is under way ends at the gateway, and the other one takes over at once.
    const third = rig.gateway(1);
    await third.logged('gateway started');
    await until(async () => new Set((await rig.holders()).values()).size === 2);
    for (const { name } of desks) bed.cluster.control.setNeverReady(deploymentRef('shop', name), true);
    const last = await Promise.all(
      desks.map(async (desk) => {
        for (;;) {
          await until(() => desk.link.state === 'online' && desk.slot?.desired === 4);
          const seq = desk.turn(5);
          await until(() => desk.has(seq, 'accepted') || desk.ends(seq).length > 0);
          if (desk.has(seq, 'accepted')) return [desk, seq] as const;
        }
      }),
    );
    const leavers: Desk[] = [];
    for (const desk of desks) if ((await holderOf(rig, desk)) === 'gw-2') leavers.push(desk);
    t.equal(await second.end('SIGTERM').then(() => second.ended()), 0);
    for (const desk of leavers) {
      const seq = last.find(([one]) => one === desk)?.[1] ?? 0;
      await endOfAny(desk, seq);
      t.same(desk.ends(seq), ['expired HandedOver'], `${desk.name}: told by the gateway that goes`);
    }
    for (const { name } of desks) bed.cluster.control.setNeverReady(deploymentRef('shop', name), false);
    const done = await Promise.all(desks.map((desk) => turnUntilDone(desk, 6)));
    t.same(
      done,
      desks.map(() => 'converged'),
    );
    for (const desk of desks)
      for (let seq = 1; desk.acks.some((ack) => ack.seq === seq); seq += 1)
        t.equal(desk.ends(seq).length, 1, `${desk.name} command ${seq} has one end`);
  },
);
