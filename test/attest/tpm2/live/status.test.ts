/** What a TPM says of itself, and how it defends itself. */
import { createHash } from 'node:crypto';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { getTestResult, selfTest } from '../../../../daemon/attest/tpm2/commands/general.ts';
import { dictionaryAttackLockReset } from '../../../../daemon/attest/tpm2/commands/objects.ts';
import { handle, handleType } from '../../../../daemon/attest/tpm2/handles.ts';
import { makePrimary, permanent } from '../../../../daemon/attest/tpm2/keys.ts';
import { isSignedBy, quotePcrs } from '../../../../daemon/attest/tpm2/signing.ts';
import { startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import {
  handlesOf,
  pcrBanks,
  propertiesFrom,
  randomOf,
  statusOf,
} from '../../../../daemon/attest/tpm2/status.ts';
import { property } from '../../../../daemon/attest/tpm2/structures/capability.ts';
import type { EccPublic } from '../../../../daemon/attest/tpm2/structures/public.ts';
import { akEccP256 } from '../../../../daemon/attest/tpm2/templates.ts';
import { endorsement, live, makeAk, refused } from './live.ts';

live('who it is', async (t, { tpm }) => {
  const status = await statusOf(tpm);
  t.match(status, { manufacturer: 'IBM', vendor: 'SW   TPM', lockout: { counter: 0, isLocked: false } });
  t.match(status.firmware, /^\d+\.\d+\.\d+\.\d+$/);
  t.ok(status.lockout.most > 0);
  const fixed = await propertiesFrom(tpm, 0x100);
  t.equal(fixed.get(property.pcrCount), 24);
  t.ok((fixed.get(property.maxCommandSize) ?? 0) >= 3072);
  t.same(
    await pcrBanks(tpm),
    [algorithm.sha1, algorithm.sha256].map((hash) => ({
      hash,
      pcrs: Array.from({ length: 24 }, (_, pcr) => pcr),
    })),
  );
  t.equal((await handlesOf(tpm, handleType.pcr)).length, 24);
  t.same(await handlesOf(tpm, handleType.nv), [0x01c00002, 0x01c00016, 0x01c08000]);
  await tpm.execute(selfTest, { handles: {}, parameters: { fullTest: true } });
  t.equal((await tpm.execute(getTestResult, { handles: {}, parameters: {} })).testResult, 0);
});

live('random bytes, as many as are wanted', async (t, { tpm }) => {
  for (const bytes of [0, 1, 64, 65, 1000]) t.equal((await randomOf(tpm, bytes)).length, bytes);
  t.notSame(await randomOf(tpm, 32), await randomOf(tpm, 32));
});

live('what is loaded, sessions of both kinds', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    const hmac = await startSession(scope, { kind: 'hmac' });
    const policy = await startSession(scope, { kind: 'policy' });
    t.same(await handlesOf(tpm, handleType.transient), [key.handle]);
    t.same(new Set(await handlesOf(tpm, handleType.hmacSession)), new Set([hmac.handle, policy.handle]));
  });
});

live('wrong authorizations are counted, and lock what is protected by counting', async (t, { tpm }) => {
  const authValue = Buffer.from('password');
  const attributes = new Set([...akEccP256.attributes].filter((attribute) => attribute !== 'noDA'));
  const guarded: EccPublic = { ...akEccP256, attributes };
  const pcrs = [{ hash: algorithm.sha256, pcrs: [0] }];
  const qualifyingData = createHash('sha256').digest();
  await tpm.scope(async (scope) => {
    const ak = await makePrimary(scope, { hierarchy: endorsement, template: akEccP256, authValue });
    const key = await makePrimary(scope, { hierarchy: endorsement, template: guarded, authValue });
    const wrong = { ...key, authValue: Buffer.from('wrong') };
    const quote = (by: typeof key) => quotePcrs(scope, { key: by, qualifyingData, pcrs });
    const { most } = (await statusOf(scope)).lockout;

    await refused(t, quote({ ...ak, authValue: wrong.authValue }), 'BAD_AUTH', 'without counting');
    t.equal((await statusOf(scope)).lockout.counter, 0);
    t.ok(await quote(key), 'the first use is sent again until it is taken');
    for (let count = 1; count <= most; count++) {
      await refused(t, quote(wrong), 'AUTH_FAIL', `wrong for the ${count}. time`);
      t.equal((await statusOf(scope)).lockout.counter, count);
    }
    await refused(t, quote(key), 'LOCKOUT', 'the right one now');
    t.ok((await statusOf(scope)).lockout.isLocked, 'and the status says so');
    const { attest, signature } = await quote(ak);
    t.ok(isSignedBy(ak.publicArea, attest, signature), 'the other key goes on');

    const lockHandle = permanent(handle.lockout);
    await scope.execute(dictionaryAttackLockReset, { handles: { lockHandle }, parameters: {} });
    t.match((await statusOf(scope)).lockout, { counter: 0, isLocked: false });
    t.ok(await quote(key), 'after the reset');
  });
});
