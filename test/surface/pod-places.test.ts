import fc from 'fast-check';
import t from 'tap';
import { PodPlaces } from '../../daemon/surface/pod-places.ts';
import type { PodLight } from '../../daemon/surface/types.ts';

type Pods = (readonly [string, PodLight])[];

const ready = (...keys: string[]): Pods => keys.map((key) => [key, 'ready']);

/** The lights as letters. */
function show(places: PodPlaces): string {
  return places.lights.map((light) => (light === null ? '.' : light[0])).join('');
}

t.test('a Pod keeps its place, a new one takes the lowest free', async (t) => {
  const places = new PodPlaces();
  places.update('Deployment', ready('a', 'b', 'c'), 6);
  t.equal(show(places), 'rrr...');
  places.update(
    'Deployment',
    [
      ['c', 'crashed'],
      ['a', 'ready'],
    ],
    6,
  );
  t.equal(show(places), 'r.c...', 'order in the message means nothing');
  places.update(
    'Deployment',
    [
      ['d', 'pending'],
      ['c', 'crashed'],
      ['e', 'terminating'],
      ['a', 'ready'],
    ],
    6,
  );
  t.equal(show(places), 'rpct..');
});

t.test('what has no light is counted and moves up when a place falls free', async (t) => {
  const places = new PodPlaces();
  places.update('Deployment', ready('a', 'b', 'c', 'd'), 2);
  t.equal(places.hidden, 2);
  places.update(
    'Deployment',
    [
      ['b', 'ready'],
      ['d', 'pending'],
    ],
    2,
  );
  t.equal(show(places), 'pr');
  t.equal(places.hidden, 0);
});

t.test('Pods of a StatefulSet stand at their ordinal', async (t) => {
  const places = new PodPlaces();
  places.update(
    'StatefulSet',
    [
      ['2', 'pending'],
      ['0', 'ready'],
      ['9', 'ready'],
    ],
    4,
  );
  t.equal(show(places), 'r.p.');
  t.equal(places.hidden, 1, 'the ninth has no light, and takes no other');
  places.update(
    'StatefulSet',
    [
      ['2', 'ready'],
      ['1', 'crashed'],
      ['odd', 'terminating'],
    ],
    4,
  );
  t.equal(show(places), 'tcr.', 'a name without an ordinal takes the lowest free');
  const others = new PodPlaces();
  others.update('Deployment', ready('7'), 4);
  t.equal(show(others), 'r...', 'only a StatefulSet has ordinals');
});

t.test('whatever comes and goes, no shown Pod moves and none shares a light', async (t) => {
  const keys = fc.uniqueArray(fc.integer({ min: 0, max: 30 }).map(String), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 20 }), fc.integer({ min: 1, max: 8 }), (rounds, capacity) => {
      const places = new PodPlaces();
      let before = new Map<string, number>();
      for (const round of rounds) {
        const now = new Map<string, number>();
        places.update('Deployment', ready(...round), capacity);
        const lit = places.lights.filter((light) => light !== null).length;
        if (lit + places.hidden !== round.length) throw new Error('lost or shared');
        if (lit < Math.min(capacity, round.length)) throw new Error('hidden beside a free light');
        for (const key of round) {
          // One Pod is made to stand out, to see which light is its own.
          places.update(
            'Deployment',
            round.map((other) => [other, other === key ? 'crashed' : 'ready']),
            capacity,
          );
          now.set(key, places.lights.indexOf('crashed'));
          const was = before.get(key) ?? -1;
          if (was >= 0 && now.get(key) !== was)
            throw new Error(`${key} moved from ${was} to ${now.get(key)}`);
        }
        before = now;
      }
    }),
  );
  t.pass();
});
