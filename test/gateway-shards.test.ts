import t from 'tap';
import type { SurfaceTrust, TrustState } from '../daemon/attest/trust/types.ts';
import type { Identity } from '../daemon/attest/types.ts';
import type { Sent } from '../daemon/bridge/shards/grip.ts';
import { parseConfig } from '../daemon/config/load.ts';
import type { GatewayConfig } from '../daemon/config/schema.ts';
import { ownershipBy } from '../daemon/gateway-shards.ts';
import { allowanceBy, trustBy } from '../daemon/gateway-trusted.ts';
import { FakeRegistry, FakeTime, startedAt, surfaceOf } from './bridge/gateway/bed.ts';

const ekSha256 = 'ab'.repeat(32);
const configOf = (more: object): GatewayConfig =>
  parseConfig(
    'Gateway',
    JSON.stringify({
      ...{ apiVersion: 'surfaced.dev/v1alpha1', kind: 'Gateway', stateDir: '/nowhere' },
      ...{ registry: { cluster: {} }, ...more },
    }),
    'test',
  );
const external = {
  mode: 'external',
  urls: ['mqtts://mqtt.example'],
  ...{ ca: 'ca.pem', certificate: 'a.pem', key: 'a.key' },
};

t.test('what was asked for before a take-over is fenced off, for as long as it could count', async (t) => {
  const time = new FakeTime();
  let since: Sent | null = { at: time.monotonic(), wall: time.now() };
  const ownership = ownershipBy(
    { isMine: () => since !== null, mayActUntil: () => 7, heldSince: () => since },
    time,
  );
  t.equal(ownership.fencedUntil('desk'), startedAt + 2000);
  t.equal(ownership.heldSince('desk'), time.monotonic());
  time.setBack(3_600_000);
  await time.advance(33_000);
  t.equal(ownership.fencedUntil('desk'), startedAt + 2000);
  await time.advance(2000);
  t.equal(ownership.fencedUntil('desk'), 0, 'a clock that was set back does not shut it out for an hour');
  since = null;
  t.equal(ownership.fencedUntil('desk'), 0);
  t.equal(ownership.isMine('desk'), false);
});

t.test(
  'the certificate of another gateway stands for its judgement, with several gateways alone',
  async (t) => {
    const registry = new FakeRegistry();
    const desk = surfaceOf('desk', []);
    const identity: Identity = {
      ...{ site: 'site', surface: 'desk', trust: 'tpm', level: 2, ekSha256, notAfter: 1, serial: '01' },
    };
    let state: TrustState = 'pending';
    const own = (): SurfaceTrust => ({
      ...{ surface: 'desk', ekSha256, state, level: state === 'trusted' ? 1 : null, reason: 'own' },
      ...{ attestedAt: null, evidence: null, reference: null, hasTrustedCertificate: true, firmware: null },
    });
    const attesting = { isTrusted: () => state === 'trusted', of: own } as never;
    const allows = (config: object, one: Partial<Identity> = {}): boolean =>
      allowanceBy({ config: configOf(config), registry, attesting })({ ...identity, ...one });
    const alone = { broker: external };
    const several = { broker: external, shards: {} };
    const standby = { shards: {} };
    t.equal(allows(several), false, 'nobody knows it');
    registry.set('desk', { ...desk, spec: { ...desk.spec, tpm: { ekSha256, assertedLevel: 0 } } });
    const table: readonly (readonly [TrustState, boolean, boolean, boolean])[] = [
      ['trusted', true, true, true],
      ['pending', false, true, true],
      ['stale', false, true, true],
      // With a broker of others certificates of before do not count; the one inside must end the session itself.
      ['failed', false, true, false],
      ['revoked', false, false, false],
      ['quarantined', false, false, false],
    ];
    for (const [is, ...expected] of table) {
      state = is;
      t.same(
        [alone, several, standby].map((config) => allows(config)),
        expected,
        is,
      );
    }
    state = 'pending';
    t.equal(allows(several, { ekSha256: 'cd'.repeat(32) }), false, 'another TPM');
    t.equal(allows(several, { trust: 'token', ekSha256: null }), false, 'a token where TPMs are asked for');
    const parts = { config: configOf(several), registry, attesting };
    const view = trustBy(parts, { identityOf: () => identity }, allowanceBy(parts));
    t.match(view('desk'), { state: 'trusted', level: 2, reason: /another gateway/ });
    t.match(trustBy(parts, { identityOf: () => null }, () => true)('desk'), { state: 'pending' });
    state = 'trusted';
    t.match(view('desk'), { level: 1, reason: 'own' });
    registry.set('desk', {
      ...desk,
      spec: { ...desk.spec, isRevoked: true, tpm: { ekSha256, assertedLevel: 0 } },
    });
    t.equal(allows(several), false, 'revoked is revoked');
  },
);

t.test('what several gateways need is said', async (t) => {
  t.throws(() => configOf({ shards: {}, registry: { folder: 'x' } }), {
    message: /shards: several gateways need/,
  });
  t.throws(() => configOf({ shards: {}, updates: { folder: 'x', trustedSigners: 'y' } }), {
    message: /updates: several gateways cannot roll/,
  });
});
