/** The volumes page, and scaling down where the claims are deleted: armed twice. */

import fc from 'fast-check';
import t from 'tap';
import { confirmWithinMs } from '../../../../daemon/bridge/gateway/confirmations.ts';
import { claimsOf } from '../../../../daemon/bridge/kube/claims.ts';
import { Bed, cart } from '../bed.ts';
import { startSite } from './site.ts';

const target = { kind: 'StatefulSet', namespace: 'shop', name: 'db' };
const claims = '/api/v1/namespaces/shop/persistentvolumeclaims';

t.test('a light is a claim, by its phase; claims that stay are still shown', async (t) => {
  const site = await startSite(t, {
    workloads: [
      { kind: 'StatefulSet', namespace: 'shop', name: 'db', replicas: 3, claims: 'Retain' },
      { kind: 'StatefulSet', namespace: 'shop', name: 'db-2', replicas: 1, claims: 'Retain' },
    ],
    bindings: [
      { target, show: 'claims' },
      { target, bank: 1, control: 'fader1' },
    ],
  });
  const lights = (count: number) => Array.from({ length: count }, (_, index) => [`${index}`, 'ready']);
  const all = await site.until(0, ({ pods, ready }) => pods.length === 3 && ready === 3);
  await site.until(0, ({ pods }) => pods.every(([, light]) => light === 'ready'));
  t.same(
    all.pods.map(([key]) => key),
    ['0', '1', '2'],
    'of this StatefulSet alone, by ordinal',
  );
  t.equal(await site.turn(0, 1), 'received accepted converged', 'nothing is lost, so nothing is asked');
  await site.until(1, ({ pods }) => pods.length === 1);
  t.same(site.shown(0)?.pods, lights(3), 'one Pod, three claims');

  await site.merge(`${claims}/data-db-2/status`, { status: { phase: 'Lost' } });
  const lost = await site.until(0, ({ pods }) => pods[2]?.[1] === 'crashed');
  t.match(lost.condition, { state: 'blocked', reason: 'ClaimLost', message: /data-db-2 is lost/ });
});

t.test('data that is lost takes two holds; the lights go out with the claims', async (t) => {
  const site = await startSite(t, {
    workloads: [{ kind: 'StatefulSet', namespace: 'shop', name: 'db', replicas: 3, claims: 'Delete' }],
    bindings: [{ target, show: 'claims' }],
  });
  await site.until(0, ({ pods, ready }) => pods.length === 3 && ready === 3);
  t.equal(await site.turn(0, 1), 'received needs-arm DeletesClaims');
  t.equal(await site.turn(0, 1, ['claims']), 'received needs-arm ConfirmAgain');
  t.match(site.said(), /^Once more, for good: The volume claims of the 2 removed Pods are deleted/);
  t.equal(((await site.get(claims)) as { items: unknown[] }).items.length, 3, 'nothing has happened');
  t.equal(await site.turn(0, 1, ['claims']), 'received accepted converged');
  await site.until(0, ({ pods }) => pods.length === 1);
});

t.test('the second confirmation is for the same command, soon, and once', async (t) => {
  const bed = await Bed.desk();
  bed.cluster.change(cart, { deletesClaims: true, desired: 5, observed: 5, ready: 5 });
  const ask = async (want: number, saw = 5): Promise<string> => {
    const id = bed.send({ want, saw, arm: ['claims'] });
    await bed.time.advance(50);
    return bed.last(id);
  };
  t.equal(await ask(3), 'needs-arm ConfirmAgain');
  t.equal(await ask(2), 'needs-arm ConfirmAgain', 'another number is another question');
  t.equal(await ask(3), 'needs-arm ConfirmAgain', 'and takes the place of the first');
  await bed.time.advance(confirmWithinMs + 1);
  t.equal(await ask(3), 'needs-arm ConfirmAgain', 'too late');
  t.same(bed.puts, []);
  t.equal(await ask(3), 'accepted', 'the same, soon');
  t.same(bed.puts, [3]);
  bed.cluster.change(cart, { desired: 5, observed: 5, ready: 5 });
  await bed.time.advance(500);
  t.equal(await ask(3), 'needs-arm ConfirmAgain', 'a confirmation serves once');
  await bed.relay.close();
});

t.test('claims of others are never shown, whatever they are called', async () => {
  const part = fc.stringMatching(/^[a-z]{1,3}$/);
  fc.assert(
    fc.property(part, part, fc.nat({ max: 99 }), part, (set, template, ordinal, other) => {
      const named = (name: string) => ({ name, light: 'ready' as const, createdAt: 0 });
      const own = named(`${template}-${set}-${ordinal}`);
      const strangers = [
        named(`${template}-${set}${other}-${ordinal}`),
        named(`${set}-${ordinal}`),
        named(`${template}-${set}-${ordinal}x`),
        named(`${template}-${set}`),
      ];
      const found = claimsOf(set, [own, ...strangers]);
      return found.length === 1 && found[0] === own;
    }),
  );
});
