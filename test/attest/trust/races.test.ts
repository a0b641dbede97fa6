/** What changes, fails or comes twice while evidence is judged. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { readDossier } from '../../../daemon/attest/trust/dossiers.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { cutDisk } from './cut-disk.ts';
import { bound, Machine } from './machine.ts';
import { attest, challenge, codeOf, newFolder, nextChange, type Rig, startRig, surfaceOf } from './rig.ts';

/** Holds the audit log at the next verdict: what happens before `open` happens while evidence is judged. */
function hold(rig: Rig) {
  let open = () => {};
  const isOpen = new Promise<void>((resolve) => {
    open = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    rig.audit.gate = async (event) => {
      if (event.kind !== 'verdict') return;
      rig.audit.gate = async () => {};
      resolve();
      await isOpen;
    };
  });
  return { reached, open };
}

async function trusted(t: Parameters<typeof startRig>[0]) {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  await attest(rig, machine);
  return { machine, rig };
}

t.test('a challenge counts once, for two minutes, whatever comes of it', async (t) => {
  const { machine, rig } = await trusted(t);
  const begun = await challenge(rig, machine);
  const answer = { evidence: machine.prove(begun.challenge), ...bound };
  const both = await Promise.all([
    codeOf(rig.trust.finish(begun, answer)),
    codeOf(rig.trust.finish(begun, answer)),
  ]);
  t.match(both, ['done', /^E_ENROL_SESSION /]);
  t.match(await codeOf(rig.trust.finish({ ...begun }, answer)), /^E_ENROL_SESSION /, 'a copy is none');
  const other = await challenge(rig, machine);
  t.match(
    await codeOf(rig.trust.finish(other, answer)),
    /^E_ENROL_EVIDENCE (activation|binding): /,
    'a replay',
  );
  const late = await challenge(rig, machine);
  rig.clock.pass(120_000);
  t.match(
    await codeOf(rig.trust.finish(late, { evidence: machine.prove(late.challenge), ...bound })),
    /^E_ENROL_SESSION /,
  );
  t.equal(rig.trust.isTrusted('desk'), true);
});

t.test('two renewals at once: the second finds that the logs went on', async (t) => {
  const { machine, rig } = await trusted(t);
  machine.measure('/good', 'more');
  const [one, two] = [await challenge(rig, machine, true), await challenge(rig, machine, true)];
  const results = await Promise.all(
    [one, two].map((begun) =>
      codeOf(rig.trust.finish(begun, { evidence: machine.prove(begun.challenge), ...bound })),
    ),
  );
  t.match(results, ['done', /^E_ENROL_EPOCH /]);
  t.equal(rig.trust.isTrusted('desk'), true);
  await attest(rig, machine, true);
  t.match(await rig.trust.verdictOf('desk'), { measured: { files: 2 } });
});

t.test('no more evidence at a time than can be held', async (t) => {
  const machines = Array.from({ length: 6 }, () => new Machine().measure('/good'));
  const rig = await startRig(t, {
    surfaces: machines.map((machine, at) => surfaceOf(`desk-${at}`, machine)),
  });
  const { reached, open } = hold(rig);
  const running = machines.map((machine) => codeOf(attest(rig, machine)));
  await reached;
  const results = Promise.all(running);
  open();
  const busy = (await results).filter((code) => code.startsWith('E_ENROL_BUSY '));
  t.ok(busy.length >= 1 && busy.length <= 2, `${busy.length} of 6 were sent away`);
  t.equal((await results).filter((code) => code === 'done').length, 6 - busy.length);
  for (const machine of machines) await attest(rig, machine);
});

t.test('the policy changes while evidence is judged: it is judged by the new one', async (t) => {
  const { machine, rig } = await trusted(t);
  const { reached, open } = hold(rig);
  const finishing = codeOf(attest(rig, machine, true));
  await reached;
  rig.policies.allow('/other');
  open();
  t.match(await finishing, /^E_ENROL_EVIDENCE reference: /);
  t.match(rig.trust.of('desk'), { state: 'failed' });
  t.same(
    rig.audit.of('verdict').map(({ verdict, why }) => `${why} ${verdict.isTrusted}`),
    ['enrol true', 'renew true', 'renew false'],
  );
  const healed = nextChange(rig);
  rig.policies.allow('/good');
  await healed;
  t.equal(rig.trust.isTrusted('desk'), true);

  let rounds = 0;
  rig.verifier.verify = (subject, rules) => {
    if (++rounds < 10) rig.policies.changed();
    return verify(subject, rules);
  };
  t.match(await codeOf(attest(rig, machine)), /^E_ENROL_BUSY the policy changes faster/);
});

t.test('the registry changes while evidence is judged', async (t) => {
  const changes = {
    revoked: /^E_SURFACE_REVOKED /,
    removed: /^E_ENROL_EVIDENCE ek-approved: .*not approved as "desk" any more/,
    'given to another TPM': /^E_ENROL_EVIDENCE ek-approved: .*not approved as "desk" any more/,
    renamed: /^E_ENROL_EVIDENCE ek-approved: .*not approved as "desk" any more/,
    contested: /^E_ENROL_EVIDENCE ek-approved: .*"desk" and "hall"/,
    'demands another policy': /^E_ENROL_EVIDENCE reference: /,
  } as const;
  for (const [what, code] of Object.entries(changes)) {
    const { machine, rig } = await trusted(t);
    const surfaces = {
      revoked: [surfaceOf('desk', machine, { isRevoked: true })],
      removed: [],
      'given to another TPM': [surfaceOf('desk', new Machine())],
      renamed: [surfaceOf('hall', machine)],
      contested: [surfaceOf('desk', machine), surfaceOf('hall', machine)],
      'demands another policy': [surfaceOf('desk', machine, { policy: 'stricter' })],
    }[what];
    const { reached, open } = hold(rig);
    const finishing = codeOf(attest(rig, machine, true));
    await reached;
    rig.registry.set(surfaces ?? []);
    open();
    t.match(await finishing, code, what);
    for (const name of ['desk', 'hall']) t.equal(rig.trust.isTrusted(name), false, `${what}: ${name}`);
    const next = await rig.restart();
    for (const name of ['desk', 'hall'])
      t.equal(next.trust.isTrusted(name), false, `${what}: ${name}, and after a restart`);
    await next.trust.close();
    await rm(path.join(rig.stateDir, 'surfaces'), { recursive: true });
  }
});

t.test('revoked and approved again while evidence is judged: only what is kept is gone', async (t) => {
  const { machine, rig } = await trusted(t);
  const { reached, open } = hold(rig);
  const finishing = codeOf(attest(rig, machine));
  await reached;
  rig.registry.set([surfaceOf('desk', machine, { isRevoked: true })]);
  rig.registry.set([surfaceOf('desk', machine)]);
  t.match(rig.trust.of('desk'), { state: 'pending' });
  open();
  t.equal(await finishing, 'done', 'it was judged again, by the approval of now');
  t.equal(rig.trust.isTrusted('desk'), true);
  await codeOf(attest(rig, machine, true));
  t.match(await attest(rig, machine, true), { level: 1 }, 'at the latest with everything sent');
});

t.test('the audit log cannot be written: nothing is let in, bad evidence still counts', async (t) => {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  rig.audit.isBroken = true;
  t.match(await codeOf(attest(rig, machine)), /^E_AUDIT_WRITE /);
  t.match(rig.trust.of('desk'), { state: 'pending' });
  t.equal(await readDossier(rig.stateDir, machine.ekSha256), null, 'and nothing is kept of it');
  rig.audit.isBroken = false;
  await attest(rig, machine);
  rig.audit.isBroken = true;
  const changed = nextChange(rig);
  rig.policies.allow();
  await changed;
  t.equal(rig.trust.isTrusted('desk'), false);
  rig.policies.allow('/good');
  await rig.trust.close();
  t.match(rig.trust.of('desk'), { state: 'failed' }, 'nor is trust given back without a record');
});

t.test('the power is cut between begin and finish', async (t) => {
  const { machine, rig } = await trusted(t);
  const begun = await challenge(rig, machine, true);
  const next = await startRig(t, { surfaces: [surfaceOf('desk', machine)], stateDir: rig.stateDir });
  const answer = { evidence: machine.prove(begun.challenge), ...bound };
  t.match(await codeOf(next.trust.finish(begun, answer)), /^E_ENROL_SESSION /);
  t.equal(next.trust.isTrusted('desk'), true);
  t.match(await attest(next, machine, true), { level: 1 });
});

t.test('the power is cut at any write of a finish', async (t) => {
  const machine = new Machine().measure('/good');
  const surfaces = [surfaceOf('desk', machine)];
  for (const bad of [false, true])
    for (let at = 0; at < 5; at++)
      for (const cut of ['before', 'within', 'behind'] as const) {
        const name = `${bad ? 'bad evidence, ' : ''}step ${at}, ${cut}`;
        machine.reboot().measure('/good');
        const stateDir = newFolder(t);
        const first = await startRig(t, { surfaces, stateDir });
        await attest(first, machine);
        await first.trust.close();
        const off = await startRig(t, { surfaces, stateDir, disk: cutDisk(at, cut) });
        machine.measure(bad ? '/evil' : '/good', name);
        const result = await codeOf(attest(off, machine, true));
        t.match(result, bad ? /^E_ENROL_EVIDENCE / : /^(done|E_STATE_DIR )/, name);
        t.equal(off.trust.isTrusted('desk'), !bad, `${name}: what was accepted before is as good as it was`);
        const next = await startRig(t, { surfaces, stateDir });
        const { state } = next.trust.of('desk') ?? {};
        // With the power gone, nothing can be written about bad evidence: what was accepted before is all there is.
        t.ok(
          state === 'trusted' || (bad && ['failed', 'pending'].includes(state ?? '')),
          `${name}: then ${state}`,
        );
        if (!bad) t.match(await attest(next, machine, true), { level: 1 }, `${name}: and it goes on`);
      }
});

t.test('a disk that takes nothing any more', async (t) => {
  const { machine, rig } = await trusted(t);
  const folder = path.join(rig.stateDir, 'surfaces', machine.ekSha256);
  // A folder in the place of the file: no rename puts anything there.
  await rm(folder, { recursive: true });
  await mkdir(path.join(folder, 'dossier.json', 'in the way'), { recursive: true });
  t.match(await codeOf(attest(rig, machine)), /^E_STATE_DIR /, 'nothing is issued');
  t.equal(rig.trust.isTrusted('desk'), true, 'earlier evidence is as good as it was');
  machine.measure('/evil');
  t.match(await codeOf(attest(rig, machine)), /^E_ENROL_EVIDENCE /);
  t.equal(rig.trust.isTrusted('desk'), false, 'bad evidence needs no disk');
  await rm(folder, { recursive: true });
  await writeFile(folder, 'a file where a folder was');
  machine.reboot().measure('/good');
  t.match(await codeOf(attest(rig, machine)), /^E_STATE_DIR /);
  await rm(folder);
  t.match(await attest(rig, machine), { level: 1 }, 'and recovers by itself');
});

t.test('a verifier that fails or contradicts itself trusts nobody', async (t) => {
  const { machine, rig } = await trusted(t);
  rig.verifier.verify = () => {
    throw new Error('a defect');
  };
  t.match(await codeOf(attest(rig, machine)), /^E_ENROL_FAILED /);
  t.equal(rig.trust.isTrusted('desk'), true, 'which says nothing about the surface');
  const changed = nextChange(rig);
  rig.policies.changed();
  await changed;
  t.match(rig.trust.of('desk'), { state: 'pending', reason: /could not be judged anew/ });
  const lies: Partial<ReturnType<typeof verify>>[] = [
    { checks: [] },
    { level: null },
    { ekSha256: 'ab'.repeat(32) },
    { akName: null },
    { isTrusted: false },
  ];
  for (const lie of lies) {
    rig.verifier.verify = (subject, rules) => ({ ...verify(subject, rules), ...lie });
    t.match(await codeOf(attest(rig, machine)), /^E_ENROL_EVIDENCE /, JSON.stringify(lie));
    t.equal(rig.trust.isTrusted('desk'), false);
  }
  rig.verifier.verify = (subject, rules) => {
    const verdict = verify(subject, rules);
    const checks = verdict.checks.map((check) =>
      check.name === 'clock' ? { ...check, outcome: 'failed' as const } : check,
    );
    return { ...verdict, checks };
  };
  t.match(await codeOf(attest(rig, machine)), /^E_ENROL_EVIDENCE clock: /);
  rig.verifier.verify = verify;
  await attest(rig, machine);
});

t.test('a listener that throws keeps nobody else from hearing', async (t) => {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  rig.trust.onChange(() => {
    throw new Error('a defect');
  });
  const heard = nextChange(rig);
  await attest(rig, machine);
  t.same(await heard, ['desk']);
});

t.test('closed: nothing begins, nobody is trusted, and all is written', async (t) => {
  const { machine, rig } = await trusted(t);
  const { reached, open } = hold(rig);
  const finishing = codeOf(attest(rig, machine, true));
  await reached;
  const closing = rig.trust.close();
  t.match(await codeOf(challenge(rig, machine)), /^E_ENROL_FAILED /);
  t.equal(rig.trust.isTrusted('desk'), false);
  open();
  t.equal(await finishing, 'done');
  await closing;
  t.equal(
    (await readDossier(rig.stateDir, machine.ekSha256))?.evidence,
    rig.audit.of('verdict').at(-1)?.evidence,
  );
  await rig.trust.close();
});
