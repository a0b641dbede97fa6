/** Power cuts, resets, and a TPM that is gone in the middle of a command. */
import { createHash } from 'node:crypto';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { decode } from '../../../../daemon/attest/tpm2/codec.ts';
import {
  getRandom,
  readClock,
  shutdown,
  startup,
  startupType,
} from '../../../../daemon/attest/tpm2/commands/general.ts';
import { makePrimary, objectAt } from '../../../../daemon/attest/tpm2/keys.ts';
import { extendPcr, readPcrs } from '../../../../daemon/attest/tpm2/registers.ts';
import { isSignedBy, quotePcrs } from '../../../../daemon/attest/tpm2/signing.ts';
import { startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import { randomOf, statusOf } from '../../../../daemon/attest/tpm2/status.ts';
import { attest, type ClockInfo } from '../../../../daemon/attest/tpm2/structures/attest.ts';
import type { EccPublic } from '../../../../daemon/attest/tpm2/structures/public.ts';
import { akEccP256, akRsa2048 } from '../../../../daemon/attest/tpm2/templates.ts';
import type { Tpm } from '../../../../daemon/attest/tpm2/tpm.ts';
import { TpmTransportError } from '../../../../daemon/attest/tpm2/transport.ts';
import { endorsement, leftIn, live, makeAk, refused } from './live.ts';

const qualifyingData = createHash('sha256').digest();
const pcrs = [{ hash: algorithm.sha256, pcrs: [0, 7] }];

/** A quote by the attestation key, checked; its clock and who signed it. */
const quoted = (tpm: Tpm): Promise<{ clockInfo: ClockInfo; name: string; isSigned: boolean }> =>
  tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    const made = await quotePcrs(scope, { key, qualifyingData, pcrs });
    return {
      clockInfo: decode('attestation', attest, made.attest).clockInfo,
      name: Buffer.from(key.name).toString('hex'),
      isSigned: isSignedBy(key.publicArea, made.attest, made.signature),
    };
  });

live('four power cuts in a row', async (t, { tpm, chip }) => {
  const guarded: EccPublic = {
    ...akEccP256,
    attributes: new Set([...akEccP256.attributes].filter((attribute) => attribute !== 'noDA')),
  };
  let before = await quoted(tpm);
  const { most } = (await statusOf(tpm)).lockout;
  for (let cut = 1; cut <= 4; cut++) {
    // A key that is protected against guessing is in use when the power goes: the TPM counts that as a guess.
    await tpm.scope(async (scope) => {
      const key = await makePrimary(scope, { hierarchy: endorsement, template: guarded });
      const quote = quotePcrs(scope, { key, qualifyingData, pcrs });
      if (cut <= most) t.ok(await quote);
      else await refused(t, quote, 'LOCKOUT', 'a protected key');
    });
    await tpm.close();
    await chip.cutPower();
    await chip.start();
    const now = await quoted(tpm);
    t.ok(now.isSigned, `cut ${cut}: the attestation key signs`);
    t.equal(now.name, before.name, 'and is the same');
    t.equal(now.clockInfo.resetCount, before.clockInfo.resetCount + 1, 'one reset more');
    t.notOk(now.clockInfo.isSafe, 'the clock may have gone back');
    t.equal((await statusOf(tpm)).lockout.counter, Math.min(cut, most), 'each is counted');
    before = now;
  }
  t.ok((await statusOf(tpm)).lockout.isLocked);
  const { isSigned } = await quoted(tpm);
  t.ok(isSigned, 'locked, and it still attests');
});

live('an orderly end is no power cut', async (t, { tpm, chip }) => {
  const before = await quoted(tpm);
  await tpm.execute(shutdown, { handles: {}, parameters: { shutdownType: startupType.clear } });
  await tpm.close();
  await chip.cutPower();
  await chip.start();
  const now = await quoted(tpm);
  t.equal(now.clockInfo.resetCount, before.clockInfo.resetCount + 1);
  t.ok(now.clockInfo.isSafe);
  t.ok(now.clockInfo.clock >= before.clockInfo.clock);
  t.equal((await statusOf(tpm)).lockout.counter, 0);
});

live('a reset under a client that goes on', async (t, { tpm, chip }) => {
  await extendPcr(tpm, 7, [{ hash: algorithm.sha256, digest: qualifyingData }]);
  const first = await tpm.execute(readClock, { handles: {}, parameters: {} });
  await tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    await startSession(scope, { kind: 'policy' });
    await chip.reset();
    await refused(t, randomOf(scope, 8), 'INITIALIZE', 'before its start');
    await tpm.execute(startup, { handles: {}, parameters: { startupType: startupType.clear } });
    const again = tpm.execute(startup, { handles: {}, parameters: { startupType: startupType.clear } });
    await refused(t, again, 'INITIALIZE', 'started twice');
    await refused(
      t,
      quotePcrs(scope, { key, qualifyingData, pcrs }),
      'REFERENCE_H0 HANDLE VALUE',
      'what was loaded is gone',
    );
    await refused(t, objectAt(scope, key.handle), 'REFERENCE_H0 HANDLE VALUE', 'to read as well');
  });
  t.same(await leftIn(tpm), []);
  const { currentTime } = await tpm.execute(readClock, { handles: {}, parameters: {} });
  t.equal(currentTime.clockInfo.resetCount, first.currentTime.clockInfo.resetCount + 1);
  t.same((await readPcrs(tpm, pcrs))[0]?.values.get(7), Buffer.alloc(32), 'PCRs begin anew');
  t.ok((await quoted(tpm)).isSigned);
});

live('gone in the middle of a command, back at the next', async (t, { tpm, chip, wire }) => {
  await t.rejects(
    tpm.scope(async (scope) => {
      await makeAk(scope);
      await startSession(scope, { kind: 'hmac' });
      chip.freeze();
      const sent = wire.nextSent();
      const making = makePrimary(scope, { hierarchy: endorsement, template: akRsa2048 });
      await sent;
      await Promise.all([chip.cutPower(), t.rejects(making, TpmTransportError, 'the command')]);
      await randomOf(scope, 8);
    }),
    TpmTransportError,
    'the next one too, as long as there is none; the end of the scope does not hide it',
  );
  await chip.start();
  t.equal((await randomOf(tpm, 8)).length, 8, 'the first command after it is back');
  t.ok((await quoted(tpm)).isSigned);
});

live('cut off between two commands', async (t, { tpm, chip }) => {
  await tpm.scope(async (scope) => {
    await makeAk(scope);
    await chip.cutPower();
    await chip.start();
    const { randomBytes } = await scope.execute(getRandom, {
      handles: {},
      parameters: { bytesRequested: 8 },
    });
    t.equal(randomBytes.length, 8, 'nothing was lost: it goes on with a new connection');
  });
});
