/** Those who wait for approval, among those who only make noise. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import {
  createQuarantine,
  listQuarantine,
  quarantineLimits,
} from '../../../daemon/attest/trust/quarantine.ts';
import { readTrustFile } from '../../../daemon/attest/trust/trust-file.ts';
import { Machine } from './machine.ts';
import { attest, codeOf, startRig, surfaceOf, TwoClocks } from './rig.ts';

const keyOf = (seed: string | number) => createHash('sha256').update(`${seed}`).digest('hex');
const seen = (seed: string | number, address: string) => ({
  ekSha256: keyOf(seed),
  address,
  firmware: '1.0.0',
  hasTrustedCertificate: false,
  certificate: 'none was sent',
});
function quarantine(clock = new TwoClocks(), kept: Parameters<typeof createQuarantine>[0]['kept'] = []) {
  let salts = 0;
  const random = (bytes: number) => Buffer.alloc(bytes, ++salts);
  const news: boolean[] = [];
  return {
    clock,
    news,
    ...createQuarantine({ kept, clock, random, onChange: (isNews) => news.push(isNews) }),
  };
}

t.test('a flood from one address stops at its own bound', async (t) => {
  const { see, list, clock, drop } = quarantine();
  see(seen('good', '198.51.100.7'));
  const addresses = (count: number) => `2001:db8:1:2:${count.toString(16)}::1`;
  let refused = 0;
  for (let count = 0; count < 1000; count++)
    try {
      see(seen(count, addresses(count)));
    } catch (error) {
      t.match(error, { code: 'E_ENROL_RATE' });
      refused++;
    }
  t.equal(refused, 1000 - quarantineLimits.mostPerAddress, 'a network of IPv6 is one sender');
  t.equal(list().length, quarantineLimits.mostPerAddress + 1);
  see(seen(0, addresses(0)));
  see(seen('second', '198.51.100.8'));
  t.ok(drop(keyOf(0)));
  t.notOk(drop(keyOf(0)));
  see(seen('third', addresses(1)));
  for (let count = 0; list().length < quarantineLimits.most; count++)
    see(seen(`wide ${count}`, `10.0.${count}.1`));
  t.throws(() => see(seen('late', '203.0.113.1')), { code: 'E_ENROL_RATE' });
  t.ok(
    list().some(({ ekSha256 }) => ekSha256 === keyOf('good')),
    'who waits is not pushed out',
  );
  see(seen('good', '198.51.100.7'));
  clock.pass(quarantineLimits.keepMs - 1);
  t.equal(list().length, quarantineLimits.most);
  see(seen('good', '198.51.100.7'));
  clock.pass(1);
  t.same(
    list().map(({ ekSha256 }) => ekSha256),
    [keyOf('good')],
    'only who was seen again',
  );
  see(seen('late', '203.0.113.1'));
});

t.test(
  'a full list has a place for those whose certificate leads to a root, and for nobody else',
  async (t) => {
    const { see, list, clock } = quarantine();
    const vendor = (seed: string | number, address: string) => ({
      ...seen(seed, address),
      hasTrustedCertificate: true,
    });
    const has = (seed: string | number) => list().some(({ ekSha256 }) => ekSha256 === keyOf(seed));
    see(vendor('first', '198.51.100.1'));
    for (let count = 1; count < quarantineLimits.most; count++) see(seen(count, `10.0.${count}.1`));
    clock.pass(1000);
    see(seen(1, '10.0.1.1'));
    see(vendor('second', '198.51.100.2'));
    t.equal(list().length, quarantineLimits.most);
    t.same(
      [has('first'), has('second'), has(1), has(2)],
      [true, true, false, true],
      'the longest without gives way',
    );
    t.throws(() => see(seen('late', '203.0.113.1')), { code: 'E_ENROL_RATE' });
    t.ok(has(2));
    for (let count = 2; count < quarantineLimits.most; count++) see(vendor(`v${count}`, `10.1.${count}.1`));
    t.throws(
      () => see(vendor('late', '203.0.113.1')),
      { code: 'E_ENROL_RATE' },
      'none gives way to its like',
    );
    t.equal(list().length, quarantineLimits.most);
    t.ok(has('first') && has('second'));

    const other = quarantine();
    for (let count = 0; count < quarantineLimits.mostPerAddress; count++) other.see(seen(count, '192.0.2.1'));
    t.throws(
      () => other.see(vendor('more', '192.0.2.1')),
      { code: 'E_ENROL_RATE' },
      'the bound of an address holds',
    );
  },
);

t.test('a clock that jumps neither empties nor fills it', async (t) => {
  const { see, list, clock, news } = quarantine();
  const salt = see(seen('a', '192.0.2.1'));
  for (const jump of [50, -80, 30].map((years) => years * 365 * 24 * 60 * 60 * 1000)) {
    clock.wall += jump;
    t.equal(list().length, 1);
    t.same(see(seen('a', '192.0.2.1')), salt);
  }
  t.same(news, [true, false, false, false]);
  const kept = list();
  clock.wall -= 60 * 365 * 24 * 60 * 60 * 1000;
  const restarted = quarantine(clock, kept);
  t.same(restarted.see(seen('a', '192.0.2.1')), salt, 'seen in the future, so just now');
  const later = quarantine(
    clock,
    kept.map((one) => ({ ...one, lastSeenAt: clock.wall - quarantineLimits.keepMs })),
  );
  t.same(later.list(), []);
});

t.test('another process sees who waits, and a restart keeps their codes', async (t) => {
  const [waiting, approved] = [new Machine(), new Machine().measure('/good')];
  const rig = await startRig(t, { surfaces: [surfaceOf('desk', approved)] });
  t.same(await listQuarantine(rig.stateDir), [], 'before anything is written');
  const request = { claims: waiting.claims, firmware: '1.0', address: '::ffff:192.0.2.9', isRenewal: false };
  const begun = await rig.trust.begin(request);
  const { evidence } = await attest(rig, approved);
  const shown = rig.trust.quarantine();
  const next = await rig.restart();
  const file = await readTrustFile(rig.stateDir);
  t.same(file?.quarantine, shown);
  t.same(await listQuarantine(rig.stateDir), shown);
  t.match(file?.surfaces, [{ surface: 'desk', state: 'trusted', evidence }]);
  t.equal(file?.writtenAt, rig.clock.wall);
  t.same(next.trust.quarantine(), shown);
  t.same(await next.trust.begin(request), begun, 'the panel goes on showing the same code');
  await writeFile(path.join(rig.stateDir, 'trust.json'), '{"v":1,');
  await t.rejects(listQuarantine(rig.stateDir));
  await next.trust.close();
  await writeFile(path.join(rig.stateDir, 'trust.json'), '{"v":1,');
  const damaged = await startRig(t, { surfaces: [], stateDir: rig.stateDir });
  t.same(damaged.trust.quarantine(), [], 'costs them a new code, and nothing else');
  t.match(await codeOf(damaged.trust.begin(request)), 'done');
});
