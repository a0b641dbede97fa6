/** Secrets at rest. */
import { randomBytes } from 'node:crypto';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { pcrReset } from '../../../../daemon/attest/tpm2/commands/pcrs.ts';
import { makePrimary, permanent } from '../../../../daemon/attest/tpm2/keys.ts';
import { type PolicyStep, policyDigest } from '../../../../daemon/attest/tpm2/policy.ts';
import { extendPcr, pcrDigest } from '../../../../daemon/attest/tpm2/registers.ts';
import {
  decodeSealed,
  encodeSealed,
  type SealedData,
  sealData,
  unsealData,
} from '../../../../daemon/attest/tpm2/sealing.ts';
import { startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import { ekEccP256, srkEccP256 } from '../../../../daemon/attest/tpm2/templates.ts';
import type { Tpm } from '../../../../daemon/attest/tpm2/tpm.ts';
import { endorsement, live, makeSrk, policySession, refused } from './live.ts';

const none = Buffer.alloc(0);
const pcrs = [{ hash: algorithm.sha256, pcrs: [16, 23] }];
const zeros = [
  {
    hash: algorithm.sha256,
    values: new Map([
      [16, Buffer.alloc(32)],
      [23, Buffer.alloc(32)],
    ]),
  },
];
const steps: readonly PolicyStep[] = [
  { kind: 'pcr', pcrs, digest: pcrDigest(algorithm.sha256, pcrs, zeros) },
];
const policy = policyDigest(algorithm.sha256, steps);

const open = (tpm: Tpm, data: SealedData): Promise<Uint8Array> =>
  tpm.scope(async (scope) => {
    const authorization = await policySession(scope, steps);
    const parent = await makeSrk(scope);
    return unsealData(scope, { parent, data, authValue: none, authorization, sessions: [] });
  });

live('sealed to PCRs, through a power cut and a change', async (t, { tpm, chip }) => {
  const secret = randomBytes(128);
  const stored = await tpm.scope(async (scope) =>
    encodeSealed(
      await sealData(scope, {
        parent: await makeSrk(scope),
        secret,
        policy,
        authValue: none,
        sessions: [],
      }),
    ),
  );
  t.notOk(stored.includes(secret));
  t.same(await open(tpm, decodeSealed(stored)), secret);
  await tpm.close();
  await chip.cutPower();
  await chip.start();
  t.same(await open(tpm, decodeSealed(stored)), secret, 'at the next start');
  await extendPcr(tpm, 16, [{ hash: algorithm.sha256, digest: Buffer.alloc(32, 1) }]);
  await refused(t, open(tpm, decodeSealed(stored)), 'VALUE', 'another PCR');
  await tpm.execute(pcrReset, { handles: { pcrHandle: permanent(16) }, parameters: {} });
  t.same(await open(tpm, decodeSealed(stored)), secret, 'as it was');
});

live('neither sealing nor opening shows the secret on the wire', async (t, { tpm, wire }) => {
  const secret = randomBytes(32);
  const data = await tpm.scope(async (scope) => {
    const parent = await makeSrk(scope);
    const session = await startSession(scope, { kind: 'hmac', salt: parent, encrypts: 'both' });
    const authValue = Buffer.from('a password');
    return sealData(scope, { parent, secret, policy, authValue, sessions: [session] });
  });
  await tpm.scope(async (scope) => {
    const parent = await makeSrk(scope);
    const authorization = await policySession(scope, steps);
    const session = await startSession(scope, { kind: 'hmac', salt: parent, encrypts: 'responses' });
    const opened = await unsealData(scope, {
      parent,
      data,
      authValue: none,
      authorization,
      sessions: [session],
    });
    t.same(opened, secret);
  });
  t.notOk(wire.saw(secret));
  t.notOk(wire.saw(Buffer.from('a password')));
  t.same(await open(tpm, data), secret);
  t.ok(wire.saw(secret), 'without a session it is to be seen');
});

live('sealed to an authorization value', async (t, { tpm }) => {
  const secret = Buffer.from('wifi password');
  const authValue = Buffer.from('pin');
  await tpm.scope(async (scope) => {
    const parent = await makeSrk(scope);
    const data = await sealData(scope, { parent, secret, policy: null, authValue, sessions: [] });
    const common = { parent, data, sessions: [] };
    t.same(await unsealData(scope, { ...common, authValue, authorization: null }), secret);
    const authorization = await startSession(scope, { kind: 'hmac', salt: parent, encrypts: 'responses' });
    t.same(await unsealData(scope, { ...common, authValue, authorization }), secret, 'in a session');
    const wrong = unsealData(scope, { ...common, authValue: Buffer.from('nip'), authorization: null });
    await refused(t, wrong, 'BAD_AUTH', 'a wrong value');
  });
});

live('what another TPM, or another parent, sealed', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    const parent = await makeSrk(scope);
    const data = await sealData(scope, {
      parent,
      secret: randomBytes(16),
      policy,
      authValue: none,
      sessions: [],
    });
    const other = await makePrimary(scope, { hierarchy: endorsement, template: srkEccP256 });
    const openWith = (changed: Partial<SealedData>, by = parent) =>
      unsealData(scope, {
        parent: by,
        data: { ...data, ...changed },
        authValue: none,
        authorization: null,
        sessions: [],
      });
    await refused(t, openWith({}, other), 'INTEGRITY', 'another parent');
    const bent = Buffer.from(data.privateArea);
    bent[bent.length - 1] = (bent[bent.length - 1] ?? 0) ^ 1;
    await refused(t, openWith({ privateArea: bent }), 'INTEGRITY', 'a bit of it is another');
    const area = data.publicArea;
    const withoutPolicy = {
      ...area,
      authPolicy: none,
      attributes: new Set([...area.attributes, 'userWithAuth' as const]),
    };
    await refused(t, openWith({ publicArea: withoutPolicy }), 'INTEGRITY', 'another policy');
    await scope.flush(other.handle);
    const many = sealData(scope, { parent, secret: randomBytes(129), policy, authValue: none, sessions: [] });
    await refused(t, many, 'SIZE', '129 bytes');
    const ek = await makePrimary(scope, { hierarchy: endorsement, template: ekEccP256 });
    const under = sealData(scope, { parent: ek, secret: none, policy, authValue: none, sessions: [] });
    await refused(t, under, 'AUTH_UNAVAILABLE', 'an endorsement key needs its policy');
  });
});
