/** A TPM in dictionary-attack lockout. */
import {
  akEccP256,
  algorithm,
  type EccPublic,
  handle,
  makePrimary,
  permanent,
  quotePcrs,
  statusOf,
  type Tpm,
  TpmError,
} from '../../daemon/attest/tpm2/index.ts';

/** An attestation key that is protected against guessing, as those of surfaced are not. */
export const guardedAk: EccPublic = {
  ...akEccP256,
  attributes: new Set([...akEccP256.attributes].filter((attribute) => attribute !== 'noDA')),
};

/** Uses a protected key with wrong values until the TPM has enough of it. */
export async function lockOut(tpm: Tpm): Promise<void> {
  await tpm.scope(async (scope) => {
    const authValue = Buffer.from('password');
    const made = await makePrimary(scope, {
      hierarchy: permanent(handle.endorsement),
      template: guardedAk,
      authValue,
    });
    const key = { ...made, authValue: Buffer.from('wrong') };
    const pcrs = [{ hash: algorithm.sha256, pcrs: [0] }];
    while (!(await statusOf(scope)).lockout.isLocked)
      await quotePcrs(scope, { key, qualifyingData: Buffer.alloc(32), pcrs }).catch((problem: unknown) => {
        if (!(problem instanceof TpmError && problem.is('AUTH_FAIL'))) throw problem;
      });
  });
}
