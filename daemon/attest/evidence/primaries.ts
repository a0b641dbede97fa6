/** Primary keys of the endorsement hierarchy: the same at every start, so nothing is stored. */
import {
  akEccP256,
  akRsa2048,
  handle,
  makePrimary,
  type PrimaryKey,
  type Public,
  permanent,
  type Scope,
  TpmError,
  TpmFormatError,
} from '../tpm2/index.ts';

/** The hierarchy of all keys here; whoever takes the TPM into possession must leave it without an authorization value. */
export const endorsementHierarchy = permanent(handle.endorsement);

/** What a TPM says to a template that it knows nothing of, or not in this size (TPM 2.0 Part 3, section 24.1). */
const unknownToTpm = [
  'ASYMMETRIC',
  'CURVE',
  'HASH',
  'KDF',
  'KEY',
  'KEY_SIZE',
  'MODE',
  'SCHEME',
  'SIZE',
  'SYMMETRIC',
  'TYPE',
  'VALUE',
];

/** A key from a template; null when the TPM has no such keys. @throws TpmError when it fails for another reason */
export async function makeIfPossible(scope: Scope, template: Public): Promise<PrimaryKey | null> {
  try {
    return await makePrimary(scope, { hierarchy: endorsementHierarchy, template });
  } catch (problem) {
    if (problem instanceof TpmError && problem.is(...unknownToTpm)) return null;
    throw problem;
  }
}

/**
 * The attestation key: ECC, else RSA. Dictionary-attack lockout does not touch it, so power cuts never lock it out.
 * @throws TpmError
 */
export async function makeAttestationKey(scope: Scope): Promise<PrimaryKey> {
  for (const template of [akEccP256, akRsa2048]) {
    const made = await makeIfPossible(scope, template);
    if (made !== null) return made;
  }
  throw new TpmFormatError('the TPM can make neither an ECC nor an RSA attestation key');
}
