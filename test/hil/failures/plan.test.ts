/** The plan of the failure loops hits everything, the same for the same seed. */
import t from 'tap';
import { blows, planOf, victims } from '../../../hil/failures/plan.ts';

const options = { rounds: 18, gateways: 3, longestMs: 30_000, seed: 4 };

t.test('every blow to everybody, before any comes again', async (t) => {
  const plan = planOf(options);
  t.equal(plan.length, 18);
  const kinds = (rounds: typeof plan) => new Set(rounds.map(({ victim, blow }) => `${victim} ${blow}`));
  t.equal(kinds(plan.slice(0, 9)).size, victims.length * blows.length);
  t.equal(kinds(plan.slice(9)).size, victims.length * blows.length);
  for (const { blow, gateway, lastsMs } of plan) {
    t.ok(gateway >= 1 && gateway <= 3);
    t.ok(blow === 'kill' ? lastsMs <= 10_000 : lastsMs >= 5000 && lastsMs <= 30_000, `${blow} ${lastsMs}`);
  }
});

t.test('a seed is a plan', async (t) => {
  t.same(planOf(options), planOf(options));
  const firsts = Array.from({ length: 20 }, (_, seed) => JSON.stringify(planOf({ ...options, seed })[0]));
  t.equal(new Set(firsts).size, 20, 'and seeds that are near begin differently');
});
