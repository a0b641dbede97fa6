/** The two steps as surfaces go through them, with the real verifier. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { pairingCode } from '../../../daemon/attest/evidence/pairing.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import { encodePublic } from '../../../daemon/attest/tpm2/index.ts';
import { levelSentences } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { bound, Machine } from './machine.ts';
import { attest, caPin, challenge, codeOf, newFolder, startRig, surfaceOf } from './rig.ts';

t.test('from quarantine to trust, and on', async (t) => {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', null)] });
  const request = { claims: machine.claims, firmware: '1.0\n', address: '192.0.2.1', isRenewal: false };
  const begun = await rig.trust.begin(request);
  if (begun.kind !== 'quarantined') throw new Error('not quarantined');
  const [waiting] = rig.trust.quarantine();
  t.match(waiting, { ekSha256: machine.ekSha256, firmware: '1.0\\u000a', address: '192.0.2.1' });
  t.equal(waiting?.pairingCode, pairingCode(begun.salt, machine.ekSha256, caPin), 'what the panel shows');
  t.match(waiting?.certificate, /none was sent/);
  t.same(await rig.trust.begin(request), begun, 'the same salt for the same key');
  t.equal(rig.trust.isTrusted('desk'), false);
  t.equal(rig.trust.of('desk'), null, 'without a TPM it is not attested at all');

  rig.registry.set([surfaceOf('desk', machine)]);
  t.same(rig.trust.quarantine(), [], 'it has a name now');
  t.match(rig.trust.of('desk'), { state: 'pending', level: null, attestedAt: null });
  t.equal(rig.trust.isTrusted('desk'), false);
  t.equal(await rig.trust.verdictOf('desk'), null);

  const first = await challenge(rig, machine);
  t.match(first, { surface: 'desk', ekSha256: machine.ekSha256 });
  t.match(first.challenge, { bank: 'sha256', pcrs: Array.from({ length: 16 }, (_, pcr) => pcr) });
  t.equal(first.challenge.nonce.length, 32);
  t.same(first.challenge.logs.measured, logStart);
  const attested = await rig.trust.finish(first, { evidence: machine.prove(first.challenge), ...bound });
  t.match(attested, { surface: 'desk', ekSha256: machine.ekSha256, level: 1, evidence: /^[0-9a-f]{32}$/ });
  t.equal(rig.trust.isTrusted('desk'), true);
  t.match(rig.trust.list(), [
    {
      surface: 'desk',
      state: 'trusted',
      level: 1,
      attestedAt: rig.clock.wall,
      evidence: attested.evidence,
      reference: { name: 'baseline' },
      firmware: '1.0.0',
    },
  ]);
  t.match(await rig.trust.verdictOf('desk'), { isTrusted: true, epoch: 'first' });
  t.equal(rig.trust.isTrusted('other'), false);
  t.ok(levelSentences[attested.level]);
  t.same(rig.told, ['desk pending', 'desk trusted']);

  const [record] = rig.audit.of('verdict');
  t.match(record, {
    surface: 'desk',
    evidence: attested.evidence,
    why: 'enrol',
    verdict: { isTrusted: true },
  });
  t.same(record?.quote?.nonce, first.challenge.nonce);
  t.same(
    rig.audit.events.map((event) => (event.kind === 'trust' ? `${event.from}-${event.to}` : event.kind)),
    ['quarantined-pending', 'verdict', 'pending-trusted'],
    'each is recorded before its consequence',
  );

  machine.measure('/good', 'again');
  const renewal = await challenge(rig, machine, true);
  t.equal(renewal.challenge.credential, null, 'this attestation key was activated before');
  t.match(renewal.challenge.logs.measured, { records: 1 });
  const evidence = machine.prove(renewal.challenge);
  t.ok(evidence.logs.measured && evidence.logs.measured.from.bytes > 0, 'only what is new');
  t.match(await rig.trust.finish(renewal, { evidence, ...bound }), { level: 1 });
  t.match(rig.audit.of('verdict')[1], { why: 'renew', verdict: { epoch: 'same', measured: { files: 2 } } });
  t.match((await challenge(rig, machine, true)).challenge.logs.measured, { records: 2 });
  t.same(rig.told.length, 2, 'nothing has changed');

  const again = await challenge(rig, machine, false);
  t.ok(again.challenge.credential, 'without a valid certificate the key is activated again');
  t.same(again.challenge.logs.measured, logStart);
});

t.test('a reset of the TPM asks for everything again, without an operator', async (t) => {
  const machine = new Machine().measure('/good').measure('/good', 'more');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  await attest(rig, machine);
  for (const step of ['reset', 'restart']) {
    const begun = await challenge(rig, machine, true);
    t.equal(begun.challenge.credential, null);
    if (step === 'reset') machine.reboot().measure('/good');
    else machine.restartCount++;
    const lies = { logs: machine.log(begun.challenge.logs.measured) };
    const answer = { evidence: machine.prove(begun.challenge, lies), ...bound };
    t.match(await codeOf(rig.trust.finish(begun, answer)), /^E_ENROL_EPOCH /, step);
    t.equal(rig.trust.isTrusted('desk'), true, 'which is nothing bad');
    const next = await challenge(rig, machine, true);
    t.ok(next.challenge.credential, 'activation');
    t.same(next.challenge.logs.measured, logStart, 'and all logs');
    t.match(await rig.trust.finish(next, { evidence: machine.prove(next.challenge), ...bound }), {
      level: 1,
    });
    t.equal((await challenge(rig, machine, true)).challenge.credential, null, 'from then on as before');
  }
  machine.ak = new Machine().ak;
  t.ok((await challenge(rig, machine, true)).challenge.credential, 'another attestation key is activated');
});

t.test('parts that are not what was asked for', async (t) => {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  await attest(rig, machine);
  machine.measure('/good', 'more');
  const none = { firmware: null, ima: null, measured: null, systemd: null };
  for (const logs of [machine.log(logStart), none]) {
    const begun = await challenge(rig, machine, true);
    t.equal(begun.challenge.credential, null);
    const answer = { evidence: machine.prove(begun.challenge, { logs }), ...bound };
    t.match(await codeOf(rig.trust.finish(begun, answer)), /^E_ENROL_EPOCH the log "measured" was/);
    t.ok((await challenge(rig, machine, true)).challenge.credential, 'the next time everything is asked for');
    await attest(rig, machine, true);
  }
  const begun = await challenge(rig, machine);
  const much = { ...none, ima: { from: logStart, bytes: Buffer.alloc(16 * 1024 * 1024 + 1) } };
  const answer = { evidence: machine.prove(begun.challenge, { logs: much }), ...bound };
  t.match(await codeOf(rig.trust.finish(begun, answer)), /^E_ENROL_EVIDENCE the log "ima" is too long/);
  t.equal(rig.trust.isTrusted('desk'), true);
});

t.test('bad evidence of the TPM itself ends trust at once, good evidence brings it back', async (t) => {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  await attest(rig, machine);
  machine.measure('/evil');
  t.match(await codeOf(attest(rig, machine, true)), /^E_ENROL_EVIDENCE reference: .*\/evil/);
  t.equal(rig.trust.isTrusted('desk'), false);
  t.match(rig.trust.of('desk'), { state: 'failed', level: null, reason: /^reference: / });
  t.match(await rig.trust.verdictOf('desk'), { isTrusted: false });
  t.same(rig.told, ['desk trusted', 'desk failed']);
  t.match(rig.audit.of('verdict').at(-1), { why: 'renew', verdict: { isTrusted: false } });
  const next = await challenge(rig, machine, true);
  t.ok(next.challenge.credential, 'nothing goes on from refused evidence');
  t.same(next.challenge.logs.measured, logStart);

  machine.reboot().measure('/good');
  t.match(await attest(rig, machine), { level: 1 });
  t.match(rig.trust.of('desk'), { state: 'trusted', reason: /level 1/ });
});

t.test('who knows the keys of a surface, which are no secrets, cannot put it out', async (t) => {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  await attest(rig, machine);
  const attacker = new Machine();
  const strange = Object.assign(new Machine(), { ak: attacker.ak });
  const cases = {
    'a guessed secret': { lies: { secret: Buffer.alloc(32) }, expected: 'activation' },
    'a signature of another key': { forged: 'signature', expected: 'signature' },
    'another connection': {
      lies: { bound: { ...bound, channel: Buffer.alloc(32, 1) } },
      expected: 'binding',
    },
    'other logs': { forged: 'logs', expected: 'binding' },
  } as const;
  for (const [what, { expected, ...how }] of Object.entries(cases)) {
    const begun = await challenge(rig, machine);
    const lies = 'lies' in how ? how.lies : {};
    const good = machine.prove(begun.challenge, lies);
    const evidence =
      'forged' in how && how.forged === 'signature'
        ? { ...good, signature: strange.prove({ ...begun.challenge, credential: null }).signature }
        : 'forged' in how
          ? { ...good, logs: new Machine().measure('/other').log(logStart) }
          : good;
    t.match(
      await codeOf(rig.trust.finish(begun, { evidence, ...bound })),
      new RegExp(`^E_ENROL_EVIDENCE ${expected}: `),
      what,
    );
    t.match(rig.trust.of('desk'), { state: 'trusted', level: 1 }, what);
  }
  t.equal(rig.audit.of('verdict').length, 5, 'each is recorded');
  for (let count = 0; count < 20; count++) {
    const begun = await challenge(rig, machine);
    const evidence = machine.prove(begun.challenge, { secret: Buffer.alloc(32) });
    await codeOf(rig.trust.finish(begun, { evidence, ...bound }));
  }
  t.equal(rig.audit.of('verdict').length, 6, 'but does not fill the disk');
  const fromNowhere = {
    ...machine.log(logStart),
    measured: { from: { bytes: 7, records: 1 }, bytes: Buffer.alloc(1) },
  };
  const asked = await challenge(rig, machine);
  t.match(
    await codeOf(
      rig.trust.finish(asked, { evidence: machine.prove(asked.challenge, { logs: fromNowhere }), ...bound }),
    ),
    /^E_ENROL_EPOCH /,
  );
  t.equal(
    (await challenge(rig, machine, true)).challenge.credential,
    null,
    'renewals go on from what is kept',
  );
  t.match(await attest(rig, machine, true), { level: 1 }, 'and renewal goes on');
  const stolen = { ...machine.claims, akPublic: encodePublic(attacker.ak.area) };
  const begun = await rig.trust.begin({ claims: stolen, firmware: '', address: '::1', isRenewal: true });
  t.ok(begun.kind === 'challenged' && begun.challenge.credential, 'another AK must be activated');
});

t.test(
  'a TPM in bad hands cannot keep the gateway judging, and nobody else can use up its share',
  async (t) => {
    const machine = new Machine().measure('/good');
    const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
    let judged = 0;
    rig.verifier.verify = (subject, rules) => {
      judged++;
      return verify(subject, rules);
    };
    const mebibytes = (count: number) => ({ from: logStart, bytes: Buffer.alloc(count * 1024 * 1024) });
    const long = { ...machine.log(logStart), firmware: mebibytes(15), ima: mebibytes(16) };
    const send = async (lies: Parameters<Machine['prove']>[1]) => {
      const begun = await challenge(rig, machine);
      return await codeOf(
        rig.trust.finish(begun, { evidence: machine.prove(begun.challenge, lies), ...bound }),
      );
    };
    for (let count = 0; count < 4; count++)
      t.match(await send({ logs: long, secret: Buffer.alloc(32) }), /^E_ENROL_EVIDENCE activation: /);
    const other = { ...bound, channel: Buffer.alloc(32, 1) };
    t.match(await send({ logs: long, bound: other }), /^E_ENROL_EVIDENCE binding: /);
    for (let count = 0; count < 2; count++)
      t.match(await send({ logs: long }), /^E_ENROL_EVIDENCE firmware-log: /);

    await attest(rig, machine);
    const before = { judged, told: [...rig.told], records: rig.audit.events.length };
    const view = rig.trust.of('desk');
    for (const secret of [null, Buffer.alloc(32)])
      t.match(await send({ logs: long, secret }), /^E_ENROL_BUSY .*too much evidence of this TPM/);
    t.same(
      { judged, told: rig.told, records: rig.audit.events.length },
      before,
      'not judged, nothing follows',
    );
    t.same(rig.trust.of('desk'), view);
    for (let count = 0; count < 20; count++) await attest(rig, machine, true);
    t.pass('who sends little is let in as ever');
    rig.clock.pass(4 * 60_000);
    t.match(await send({ logs: long }), /^E_ENROL_EVIDENCE firmware-log: /, 'there is room again');

    const config = { ...rig.config, enrol: { ...rig.config.enrol, certificateTtlSeconds: 60 } };
    const quick = await rig.restart({ config });
    for (let count = 0; count < 4; count++) {
      const begun = await challenge(quick, machine);
      const answer = { evidence: machine.prove(begun.challenge, { logs: long }), ...bound };
      t.match(await codeOf(quick.trust.finish(begun, answer)), /^E_ENROL_EVIDENCE /, 'renewals always fit');
      quick.clock.pass(40_000);
    }
  },
);

t.test('keys that cannot be challenged', async (t) => {
  const machine = new Machine().measure('/good');
  const known = new Machine();
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', known)] });
  const begin = (claims: Partial<typeof machine.claims>, of = machine) =>
    codeOf(
      rig.trust.begin({
        claims: { ...of.claims, ...claims },
        firmware: '',
        address: '::1',
        isRenewal: false,
      }),
    );
  t.match(await begin({ ekPublic: Buffer.alloc(0) }), /^E_ENROL_EVIDENCE ek-public: /);
  t.match(await begin({ ekPublic: Buffer.alloc(1024, 255) }), /^E_ENROL_EVIDENCE ek-public: /);
  t.match(await begin({ akPublic: machine.claims.ekPublic }), /^E_ENROL_EVIDENCE ak-public: /);
  t.match(await begin({ akPublic: machine.claims.ekPublic }, known), /^E_ENROL_EVIDENCE ak-public: /);
  const offCurve = encodePublic({ ...machine.ek.area, x: Buffer.alloc(32, 1) });
  t.match(await begin({ ekPublic: offCurve }), /^E_ENROL_EVIDENCE ek-public: /);
  t.same(rig.trust.quarantine(), [], 'such keys do not wait for anybody');
  const strict = await startRig(t, {
    surfaces: [],
    policy: { ekCertificate: 'required' },
    stateDir: newFolder(t),
  });
  const request = { claims: machine.claims, firmware: '', address: '::1', isRenewal: false };
  t.match(await codeOf(strict.trust.begin(request)), /^E_ENROL_EVIDENCE ek-certificate: /);
});

t.test('revoked by an operator, and only back by one', async (t) => {
  const machine = new Machine().measure('/good');
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine)] });
  await attest(rig, machine);
  const begun = await challenge(rig, machine, true);
  rig.registry.set([surfaceOf('desk', machine, { isRevoked: true })]);
  t.equal(rig.trust.isTrusted('desk'), false);
  t.match(rig.trust.of('desk'), { state: 'revoked', level: null, reason: /operator/ });
  t.match(await codeOf(challenge(rig, machine)), /^E_SURFACE_REVOKED /);
  const answer = { evidence: machine.prove(begun.challenge), ...bound };
  t.match(await codeOf(rig.trust.finish(begun, answer)), /^E_SURFACE_REVOKED /);
  rig.policies.changed();
  t.match(rig.trust.of('desk'), { state: 'revoked' });
  rig.registry.set([surfaceOf('desk', machine)]);
  t.match(rig.trust.of('desk'), { state: 'pending', attestedAt: null });
  t.ok((await challenge(rig, machine, true)).challenge.credential, 'nothing from before counts');
  await attest(rig, machine);
  t.equal(rig.trust.isTrusted('desk'), true);
  t.same(rig.told, ['desk trusted', 'desk revoked', 'desk pending', 'desk trusted']);
});

t.test('one key is one surface', async (t) => {
  const [machine, other] = [new Machine().measure('/good'), new Machine().measure('/good')];
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', machine), surfaceOf('hall', other)] });
  await attest(rig, machine);
  await attest(rig, other);
  const begun = await challenge(rig, machine, true);
  rig.registry.set([surfaceOf('desk', machine), surfaceOf('hall', machine)]);
  for (const name of ['desk', 'hall']) {
    t.equal(rig.trust.isTrusted(name), false);
    t.match(rig.trust.of(name), { state: 'failed', reason: /"desk" and "hall"/ });
  }
  t.match(await codeOf(challenge(rig, machine)), /^E_ENROL_EVIDENCE .*"desk" and "hall"/);
  const answer = { evidence: machine.prove(begun.challenge), ...bound };
  t.match(await codeOf(rig.trust.finish(begun, answer)), /^E_ENROL_EVIDENCE .*"desk" and "hall"/);
  rig.registry.set([surfaceOf('desk', machine), surfaceOf('hall', machine, { isRevoked: true })]);
  t.match(
    await codeOf(challenge(rig, machine)),
    /^E_SURFACE_REVOKED /,
    'a key that is revoked under one name',
  );

  rig.registry.set([surfaceOf('desk', machine), surfaceOf('hall', other)]);
  t.match(rig.trust.of('desk'), { state: 'pending', reason: /^approved/ });
  t.match(rig.trust.of('hall'), { state: 'pending' });
  t.ok((await challenge(rig, machine, true)).challenge.credential);
  await attest(rig, machine);

  rig.registry.set([surfaceOf('desk', other)]);
  t.match(rig.trust.of('desk'), { state: 'pending', reason: /another endorsement key/, attestedAt: null });
  t.equal(rig.trust.of('hall'), null);
  t.equal(
    (await rig.trust.begin({ claims: machine.claims, firmware: '', address: '', isRenewal: true })).kind,
    'quarantined',
  );
  await attest(rig, other);
  t.equal(rig.trust.isTrusted('desk'), true);
  rig.registry.set([]);
  t.equal(rig.trust.isTrusted('desk'), false);
  t.equal(rig.told.at(-1), 'desk gone');
  await rig.trust.close();
  const kept = await readdir(path.join(rig.stateDir, 'surfaces', other.ekSha256));
  t.ok(
    kept.includes('withdrawn.json') && !kept.includes('dossier.json'),
    'it can be looked at, and does not count',
  );
});

t.test('policies: none, missing, required level, bank', async (t) => {
  const machine = new Machine().measure('/good');
  const of = (policy: string | null, level = 1) => [surfaceOf('desk', machine, { policy, level })];
  const none = await startRig(t, { surfaces: of(null) });
  t.match(await attest(none, machine), { level: 0 }, 'nothing is claimed without reference values');
  const missing = await startRig(t, { surfaces: of('gone'), stateDir: newFolder(t) });
  t.match(
    await codeOf(attest(missing, machine)),
    /^E_ENROL_EVIDENCE reference: .*no reference set named "gone"/,
  );
  t.match(missing.trust.of('desk'), { state: 'failed' });
  const options = { policy: { requiredLevel: 2 }, stateDir: newFolder(t) };
  const high = await startRig(t, { surfaces: of('baseline'), ...options });
  t.match(await codeOf(attest(high, machine)), /^E_ENROL_EVIDENCE level: /);
  const bank = { policy: { bank: 'sha384' }, stateDir: newFolder(t) };
  const other = await startRig(t, { surfaces: of('baseline'), ...bank });
  t.match(
    await codeOf(attest(other, machine)),
    /^E_ENROL_EVIDENCE selection: /,
    'the bank is the gateway’s choice',
  );
});
