/** Evidence that is judged anew, grows old, and outlives restarts and clocks. */
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { type Disk, disk } from '../../../daemon/attest/trust/disk.ts';
import { readDossier } from '../../../daemon/attest/trust/dossiers.ts';
import { Machine } from './machine.ts';
import {
  attest,
  challenge,
  codeOf,
  lifeMs,
  limitMs,
  newFolder,
  nextChange,
  nextRecord,
  type Rig,
  startRig,
  surfaceOf,
} from './rig.ts';

async function trusted(
  t: Parameters<typeof startRig>[0],
  change: Partial<Parameters<typeof startRig>[1]> = {},
) {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)], ...change });
  await attest(rig, machine);
  return { machine, rig };
}
const stateOf = (rig: Rig) => rig.trust.of('desk')?.state;
const yearMs = 365 * 24 * 60 * 60 * 1000;

t.test('the policy changes: the last evidence decides, both ways', async (t) => {
  const { machine, rig } = await trusted(t);
  let changed = nextChange(rig);
  rig.policies.allow('/other');
  t.same(await changed, ['desk']);
  t.match(rig.trust.of('desk'), { state: 'failed', level: null, reason: /\/good is not in the set/ });
  t.match(rig.audit.of('verdict').at(-1), { why: 'policy', quote: null, verdict: { isTrusted: false } });
  t.ok((await challenge(rig, machine, true)).challenge.credential, 'nothing goes on from it');
  changed = nextChange(rig);
  rig.policies.allow('/good', '/other');
  await changed;
  t.match(rig.trust.of('desk'), { state: 'trusted', attestedAt: rig.clock.wall });

  rig.clock.pass(lifeMs / 2);
  const recorded = nextRecord(rig);
  rig.policies.changed();
  await recorded;
  t.match(rig.trust.of('desk'), { attestedAt: rig.clock.wall - lifeMs / 2 }, 'it is as old as it is');

  machine.measure('/new');
  await codeOf(attest(rig, machine, true));
  t.equal(stateOf(rig), 'failed');
  t.equal(
    (await readDossier(rig.stateDir, machine.ekSha256))?.verdict.isTrusted,
    false,
    'refused evidence is kept',
  );
  changed = nextChange(rig);
  rig.policies.allow('/good', '/new');
  await changed;
  t.match(
    rig.trust.of('desk'),
    { state: 'trusted', attestedAt: rig.clock.wall },
    'and was good all the time',
  );
  t.same(
    rig.told,
    ['trusted', 'failed', 'trusted', 'failed', 'trusted'].map((state) => `desk ${state}`),
  );
  machine.measure('/good', 'later');
  t.match(await attest(rig, machine, true), { level: 1 }, 'what comes then goes on');
});

t.test('the registry says something else about a surface', async (t) => {
  const { machine, rig } = await trusted(t);
  let changed = nextChange(rig);
  rig.registry.set([surfaceOf('desk', machine, { policy: 'other' })]);
  await changed;
  t.match(rig.trust.of('desk'), { state: 'failed', reason: /no reference set named "other"/ });
  changed = nextChange(rig);
  rig.registry.set([surfaceOf('desk', machine, { level: 0 })]);
  await changed;
  t.match(rig.trust.of('desk'), { state: 'trusted', level: 0 });
  changed = nextChange(rig);
  rig.registry.set([surfaceOf('desk', machine, { level: 1 })]);
  await changed;
  t.match(rig.trust.of('desk'), { state: 'trusted', level: 1 }, 'a level that changed is told as well');
});

t.test('what cannot be read cannot be judged anew', async (t) => {
  const { machine, rig } = await trusted(t);
  const folder = path.join(rig.stateDir, 'surfaces', machine.ekSha256);
  const [log] = (await readdir(folder)).filter((name) => name.endsWith('.log'));
  await writeFile(path.join(folder, log ?? ''), 'damaged');
  t.equal(rig.trust.isTrusted('desk'), true);
  t.match(await codeOf(attest(rig, machine, true)), /^E_ENROL_EPOCH /, 'nor gone on from');
  const changed = nextChange(rig);
  rig.policies.changed();
  await changed;
  t.match(rig.trust.of('desk'), { state: 'pending', reason: /not kept/ });
  await attest(rig, machine);
  t.equal(rig.trust.isTrusted('desk'), true, 'the next evidence mends it');
});

t.test('no evidence for too long', async (t) => {
  const { machine, rig } = await trusted(t);
  rig.clock.pass(limitMs - 1);
  t.equal(rig.trust.isTrusted('desk'), true);
  const changed = nextChange(rig);
  // The gateway's timers let a process end that has nothing else to do.
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(alive));
  rig.clock.pass(1);
  t.equal(rig.trust.isTrusted('desk'), false, 'at once, whoever was told');
  t.match(rig.trust.of('desk'), { state: 'stale', level: null, reason: /since 2027-06-01T00:00:00/ });
  t.same(await changed, ['desk'], 'and then sessions are closed');
  t.match(rig.audit.of('trust').at(-1), { from: 'trusted', to: 'stale' });
  const recorded = nextRecord(rig);
  rig.policies.changed();
  await recorded;
  t.equal(stateOf(rig), 'stale', 'old evidence that would pass is old');
  t.ok((await challenge(rig, machine, true)).challenge.credential);
  await attest(rig, machine);
  t.equal(stateOf(rig), 'trusted');
});

t.test('a clock that jumps by years', async (t) => {
  const { machine, rig } = await trusted(t);
  rig.clock.wall -= 20 * yearMs;
  t.equal(rig.trust.isTrusted('desk'), true, 'back: the other clock goes on');
  rig.clock.pass(limitMs);
  t.equal(rig.trust.isTrusted('desk'), false, 'and ends it');
  await attest(rig, machine);
  t.equal(rig.trust.isTrusted('desk'), true);
  rig.clock.wall += 20 * yearMs;
  t.equal(rig.trust.isTrusted('desk'), false, 'ahead: certificates have run out, too');
  await attest(rig, machine);
  t.equal(rig.trust.isTrusted('desk'), true);

  for (const [jump, state] of [
    [-20 * yearMs, 'stale'],
    [-1, 'stale'],
    [20 * yearMs, 'stale'],
    [lifeMs, 'stale'],
    [0, 'trusted'],
    [lifeMs - 1, 'trusted'],
  ] as const) {
    await attest(rig, machine);
    const { wall } = rig.clock;
    rig.clock.wall += jump;
    rig.clock.steady = 5;
    const next = await startRig(t, {
      surfaces: rig.registry.list(),
      stateDir: rig.stateDir,
      clock: rig.clock,
      audit: rig.audit,
    });
    t.equal(stateOf(next), state, `a restart after ${jump} ms`);
    t.equal(next.trust.isTrusted('desk'), state === 'trusted');
    rig.clock.steady += lifeMs;
    t.equal(next.trust.isTrusted('desk'), false, 'never for longer than a certificate lives');
    await next.trust.close();
    rig.clock.wall = wall;
  }
});

t.test('after a restart', async (t) => {
  const { machine, rig } = await trusted(t);
  machine.measure('/good', 'more');
  const { evidence } = await attest(rig, machine, true);
  rig.clock.pass(1000);
  const second = await rig.restart();
  t.match(second.trust.list(), [
    {
      surface: 'desk',
      state: 'trusted',
      level: 1,
      evidence,
      attestedAt: rig.clock.wall - 1000,
      firmware: '1.0.0',
    },
  ]);
  t.match(second.audit.of('verdict').at(-1), { why: 'policy', evidence }, 'it was judged anew');
  const begun = await challenge(second, machine, true);
  t.equal(begun.challenge.credential, null, 'and goes on');
  t.match(begun.challenge.logs.measured, { records: 2 });
  await attest(second, machine, true);

  second.policies.allowed = new Set(['/other']);
  const third = await second.restart();
  t.match(third.trust.of('desk'), { state: 'failed' }, 'the policy has changed meanwhile');
  third.policies.allowed = new Set(['/good']);
  const fourth = await third.restart();
  t.match(fourth.trust.of('desk'), { state: 'trusted' });

  machine.measure('/evil');
  await codeOf(attest(fourth, machine, true));
  const fifth = await fourth.restart();
  t.match(fifth.trust.of('desk'), { state: 'failed', reason: /\/evil/ }, 'what was refused stays refused');
  const other = { ...rig.config, policy: { ...rig.config.policy, bank: 'sha384' as const } };
  machine.reboot().measure('/good');
  const again = await trusted(t, { stateDir: newFolder(t) });
  const bank = await again.rig.restart({ config: { ...other, stateDir: again.rig.stateDir } });
  t.match(bank.trust.of('desk'), { state: 'pending' }, 'another bank is asked for now');
});

t.test('many surfaces, and a policy that refuses them all', async (t) => {
  // Making them is not what is looked at: nothing is synced.
  const quick: Disk = { ...disk, create: writeFile, replace: (file, text) => writeFile(file, text) };
  const rig = await startRig(t, { surfaces: [], disk: quick });
  const machines = Array.from({ length: 250 }, () => new Machine().measure('/good'));
  rig.registry.set(machines.map((one, at) => surfaceOf(`desk-${at}`, one)));
  for (const one of machines) await attest(rig, one);
  const told = new Set<string>();
  let longestMs = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }, 1);
  const start = performance.now();
  const all = new Promise<void>((resolve) => {
    rig.trust.onChange((names) => {
      for (const name of names) told.add(name);
      if (told.size === machines.length) resolve();
    });
  });
  rig.policies.allow();
  await all;
  clearInterval(watch);
  const tookMs = performance.now() - start;
  t.comment(
    `${machines.length} surfaces failed and were told within ${tookMs.toFixed(0)} ms, longest pause ${longestMs.toFixed(0)} ms`,
  );
  t.ok(rig.trust.list().every(({ state }) => state === 'failed'));
  t.equal(rig.audit.of('verdict').filter(({ why }) => why === 'policy').length, machines.length);
  const startedAt = performance.now();
  const next = await rig.restart();
  t.comment(`and the next gateway started within ${(performance.now() - startedAt).toFixed(0)} ms`);
  t.equal(next.trust.list().length, machines.length);
});
