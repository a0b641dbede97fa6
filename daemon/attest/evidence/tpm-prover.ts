/** The surface's TPM as a prover: who it is, and proofs. Nothing is stored, neither in the TPM nor on the disk. */
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { ekPublicSha256 } from '../certificates/public-key.ts';
import { encodePublic, type Public, type Scope, type Tpm } from '../tpm2/index.ts';
import { type Endorsement, findEndorsement, loadEndorsement } from './endorsement.ts';
import type { KeyClaims } from './evidence.ts';
import type { LogPaths } from './log-sources.ts';
import { makeAttestationKey } from './primaries.ts';
import type { Prover } from './prover.ts';
import { type ProvingKeys, prove } from './proving.ts';
import { inStartedTpm } from './started-tpm.ts';

/** What a TPM was when it was first asked. */
interface Known {
  readonly claims: KeyClaims;
  readonly ekSha256: string;
  readonly endorsement: Endorsement;
}

/**
 * A prover for a TPM; one call at a time. Closing it closes the TPM.
 * @param options.logs paths of the logs; one that does not exist is a log that this machine does not have
 * @param options.random 0 up to 1
 */
export function openProver(options: {
  readonly tpm: Tpm;
  readonly logs: LogPaths;
  readonly log: Log;
  readonly random: () => number;
}): Prover {
  const { tpm, logs, log, random } = options;
  let known: Known | null = null;

  const identified = async (scope: Scope): Promise<Known> => {
    known ??= await identify(scope, log);
    return known;
  };

  /**
   * The keys, which must be those of the claims: the session that hides the credential's secret is salted to this
   * endorsement key. Somebody between machine and TPM can show a key of their own instead, but not later than the first
   * time; and a surface that begins with such a key is another one to the gateway, which makes credentials for approved
   * keys only. What is left to them is to refuse service.
   */
  const provingKeys = async (scope: Scope): Promise<ProvingKeys> => {
    const { claims, endorsement } = await identified(scope);
    const endorsementKey = await loadEndorsement(scope, endorsement);
    const attestationKey = await makeAttestationKey(scope);
    if (
      isArea(endorsementKey.publicArea, claims.ekPublic) &&
      isArea(attestationKey.publicArea, claims.akPublic)
    )
      return { endorsementKey, policy: endorsement.policy, attestationKey };
    known = null;
    throw new SurfacedError('E_TPM', 'the TPM is not the one that it was: its keys are others');
  };

  return {
    claims: (signal) =>
      inStartedTpm(
        tpm,
        'reading the endorsement key',
        async (scope) => (await identified(scope)).claims,
        signal,
      ),
    get ekSha256() {
      return known?.ekSha256 ?? null;
    },
    prove: (challenge, bound, signal) =>
      inStartedTpm(
        tpm,
        'proving by the TPM',
        async (scope) =>
          prove(scope, { keys: await provingKeys(scope), logs, challenge, bound, random, signal }),
        signal,
      ),
    close: () => tpm.close(),
  };
}

/**
 * Who a TPM is: hex of SHA-256 of its endorsement key's SubjectPublicKeyInfo.
 * @throws SurfacedError E_TPM, E_TPM_OPEN, E_TPM_LOCKOUT; the signal's reason
 */
export const readEkSha256 = (tpm: Tpm, log: Log, signal: AbortSignal): Promise<string> =>
  inStartedTpm(
    tpm,
    'reading the endorsement key',
    async (scope) => ekPublicSha256((await findEndorsement(scope, log)).key.publicArea),
    signal,
  );

async function identify(scope: Scope, log: Log): Promise<Known> {
  const { key, ...endorsement } = await findEndorsement(scope, log);
  const attestationKey = await makeAttestationKey(scope);
  // It is loaded again for a proof; a TPM has room for three.
  for (const { handle } of endorsement.persistentHandle === null ? [key, attestationKey] : [attestationKey])
    await scope.flush(handle);
  const { certificate, chain } = endorsement;
  const claims = {
    ekPublic: encodePublic(key.publicArea),
    ekCertificate: certificate,
    ekChain: chain,
    akPublic: encodePublic(attestationKey.publicArea),
  };
  const ekSha256 = ekPublicSha256(key.publicArea);
  log.info({ ekSha256, hasCertificate: certificate !== null, chain: chain.length }, 'endorsement key found');
  return { claims, ekSha256, endorsement };
}

const isArea = (area: Public, encoded: Uint8Array): boolean => encodePublic(area).equals(encoded);
