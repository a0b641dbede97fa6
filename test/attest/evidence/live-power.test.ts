/** Power cuts, resets, lockout, and a TPM that is gone in the middle of a proof. */
import { randomBytes } from 'node:crypto';
import {
  algorithm,
  handle,
  makePrimary,
  permanent,
  quotePcrs,
  statusOf,
  type Tpm,
} from '../../../daemon/attest/tpm2/index.ts';
import { guardedAk } from '../lock-out.ts';
import { leftIn } from '../tpm2/live/live.ts';
import { checkProof, code, live, proveOnce, roundFor, signal } from './live-bench.ts';

/** Uses a key that is protected against guessing, so that the TPM counts the next power cut as a guess. */
async function useGuardedKey(tpm: Tpm): Promise<void> {
  await tpm.scope(async (scope) => {
    const key = await makePrimary(scope, { hierarchy: permanent(handle.endorsement), template: guardedAk });
    const pcrs = [{ hash: algorithm.sha256, pcrs: [0] }];
    await quotePcrs(scope, { key, qualifyingData: randomBytes(32), pcrs });
  });
}

for (const state of ['known', 'new'] as const)
  live(
    `four power cuts in a row, and proofs in lockout, ${state}`,
    state,
    async (t, { prover, tpm, chip }) => {
      let { clockInfo } = checkProof(t, await proveOnce(prover));
      const before = await prover.claims(signal);
      for (let cut = 1; cut <= 4; cut++) {
        if (!(await statusOf(tpm)).lockout.isLocked) await useGuardedKey(tpm);
        await prover.close();
        await chip.cutPower();
        await chip.start();
        const { clockInfo: now } = checkProof(t, await proveOnce(prover));
        t.equal(now.resetCount, clockInfo.resetCount + 1, `cut ${cut}: one reset more`);
        clockInfo = now;
      }
      t.equal(await prover.claims(signal), before, 'the same keys: nothing was read anew');
      t.ok((await statusOf(tpm)).lockout.isLocked, 'all the while it was locked by others');
    },
  );

live('a reset under a surface that goes on', 'known', async (t, { prover, chip, bus }) => {
  await chip.reset();
  const first = checkProof(t, await proveOnce(prover));
  t.equal(bus.count(code.startup), 1, 'started, once');
  await chip.reset();
  const claims = await prover.claims(signal);
  const round = roundFor(claims);
  const evidence = await prover.prove(round.challenge, round.bound, signal);
  const second = checkProof(t, { ...round, evidence });
  t.equal(second.clockInfo.resetCount, first.clockInfo.resetCount + 1);
  t.equal(bus.count(code.startup), 2);
});

live('a reset in the middle of a proof', 'known', async (t, { prover, chip, bus, tpm }) => {
  const claims = await prover.claims(signal);
  for (const asked of [code.activateCredential, code.quote]) {
    let left = 1;
    bus.before = async (given) => {
      if (given === asked && left-- > 0) await chip.reset();
      return null;
    };
    const round = roundFor(claims);
    checkProof(t, { ...round, evidence: await prover.prove(round.challenge, round.bound, signal) });
    t.same(await leftIn(tpm), []);
  }
});

live('a TPM that never starts is asked once', 'new', async (t, { prover, bus }) => {
  bus.before = async (given) => (given === code.startup ? null : Buffer.from('80010000000a00000100', 'hex'));
  await t.rejects(prover.claims(signal), { code: 'E_TPM', message: /TPM_RC_INITIALIZE/ });
  t.equal(bus.count(code.startup), 1);
});

live('the power goes in the middle of each command', 'known', async (t, { prover, chip, bus, tpm }) => {
  const claims = await prover.claims(signal);
  for (const asked of [code.createPrimary, code.activateCredential, code.quote]) {
    bus.before = async (given) => {
      if (given === asked) {
        chip.freeze();
        setImmediate(() => void chip.cutPower());
      }
      return null;
    };
    const { challenge, bound } = roundFor(claims);
    await t.rejects(prover.prove(challenge, bound, signal), { code: 'E_TPM_OPEN' });
    bus.before = null;
    await chip.start();
    const round = roundFor(claims);
    checkProof(t, { ...round, evidence: await prover.prove(round.challenge, round.bound, signal) });
    t.same(await leftIn(tpm), []);
  }
});

live('given up while the TPM is silent', 'known', async (t, { prover, chip, bus, tpm }) => {
  const claims = await prover.claims(signal);
  const controller = new AbortController();
  const reason = new Error('the surface stops');
  bus.before = async (given) => {
    if (given === code.quote) {
      chip.freeze();
      setImmediate(() => controller.abort(reason));
    }
    return null;
  };
  const { challenge, bound } = roundFor(claims);
  await t.rejects(prover.prove(challenge, bound, controller.signal), reason, 'at once');
  bus.before = null;
  chip.thaw();
  checkProof(t, await proveOnce(prover));
  t.same(await leftIn(tpm), []);
});
