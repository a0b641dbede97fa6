/**
 * What the maker of a TPM left in its NV memory. A thing that is broken is reported and left out; that nobody answers, or
 * that the TPM is locked, is no reason to go on without, as another key would then be taken for the TPM's identity.
 */
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { readCertificate } from '../certificates/certificate.ts';
import { keySha256 } from '../certificates/public-key.ts';
import { splitChain, unwrapCertificate } from '../certificates/unwrap.ts';
import { type Executor, handle, nvIndexAt, permanent, readNv, TpmError } from '../tpm2/index.ts';
import { chainIndices } from './ek-profile.ts';
import { mostCertificateBytes, mostChainCertificates } from './evidence.ts';

/** Most bytes of one index that are read: a certificate and padding to a round size. */
const mostIndexBytes = 16 * 1024;
/** Most bytes of all indices of the chain. */
const mostChainBytes = 64 * 1024;

/** A certificate of an endorsement key. */
export interface StoredCertificate {
  readonly der: Uint8Array;
  /** Hex of SHA-256 of the key's SubjectPublicKeyInfo in its usual form. */
  readonly keySha256: string;
}

/** An index as people write it. */
export const indexText = (index: number): string => `0x${index.toString(16).padStart(8, '0')}`;

/** What an index holds; null when there is none, or it cannot be read for a reason that lasts. @throws TpmError */
export async function readIndex(executor: Executor, index: number, log: Log): Promise<Buffer | null> {
  const leaveOut = (reason: string): null => {
    log.warn({ index: indexText(index), reason }, 'an NV index of the TPM is left out');
    return null;
  };
  const found = await nvIndexAt(executor, index);
  if (found === null) return null;
  const { dataSize, attributes } = found.nvPublic;
  if (dataSize > mostIndexBytes) return leaveOut(`${dataSize} bytes, at most ${mostIndexBytes}`);
  const by = attributes.set.has('authRead') ? null : permanent(handle.owner);
  try {
    return await readNv(executor, found, { by });
  } catch (problem) {
    if (!(problem instanceof TpmError) || !problem.is(...lastingProblems)) throw problem;
    return leaveOut(problem.message);
  }
}

/** Never written, locked, or for others' eyes. */
const lastingProblems = [
  'NV_UNINITIALIZED',
  'NV_LOCKED',
  'NV_AUTHORIZATION',
  'AUTH_UNAVAILABLE',
  'AUTH_TYPE',
  'BAD_AUTH',
];

/** The certificate that an index holds; null when there is none that can be used. @throws TpmError */
export async function readEkCertificate(
  executor: Executor,
  index: number,
  log: Log,
): Promise<StoredCertificate | null> {
  const contents = await readIndex(executor, index, log);
  return contents && orLeftOut(log, index, () => ekCertificate(unwrapCertificate(contents)));
}

/** @throws SurfacedError E_ATTEST_CERTIFICATE */
function ekCertificate(bytes: Uint8Array): StoredCertificate {
  const der = checked(bytes);
  const { publicKey, keyProblem } = readCertificate(der);
  if (publicKey === null) throw new SurfacedError('E_ATTEST_CERTIFICATE', keyProblem ?? 'it has no key');
  return { der, keySha256: keySha256(publicKey) };
}

/**
 * The chain: certificates of which one may go on in the next index. Where that cannot be read as a whole, each index is
 * taken for itself, so that one that is broken does not hide the others.
 * @param indices that exist, ascending
 * @throws TpmError
 */
export async function readChain(
  executor: Executor,
  indices: readonly number[],
  log: Log,
): Promise<readonly Uint8Array[]> {
  const contents: { readonly index: number; readonly bytes: Buffer }[] = [];
  let total = 0;
  for (const index of indices) {
    if (index < chainIndices.first || index > chainIndices.last) continue;
    const bytes = await readIndex(executor, index, log);
    total += bytes?.length ?? 0;
    if (total > mostChainBytes) {
      log.warn(
        { index: indexText(index), mostChainBytes },
        'the rest of the EK certificate chain is left out',
      );
      break;
    }
    if (bytes !== null) contents.push({ index, bytes });
  }
  const found = wholeChain(contents.map(({ bytes }) => bytes)) ?? partsOf(contents, log);
  if (found.length > mostChainCertificates)
    log.warn({ certificates: found.length }, 'the end of the EK certificate chain is left out');
  return found.slice(0, mostChainCertificates);
}

function wholeChain(contents: readonly Buffer[]): readonly Uint8Array[] | null {
  try {
    return splitChain(Buffer.concat(contents)).map(checked);
  } catch (problem) {
    if (problem instanceof SurfacedError) return null;
    throw problem;
  }
}

function partsOf(
  contents: readonly { readonly index: number; readonly bytes: Buffer }[],
  log: Log,
): readonly Uint8Array[] {
  return contents.flatMap(({ index, bytes }) =>
    (orLeftOut(log, index, () => splitChain(bytes)) ?? []).flatMap(
      (der) => orLeftOut(log, index, () => checked(der)) ?? [],
    ),
  );
}

/** A copy of what can be sent. @throws SurfacedError E_ATTEST_CERTIFICATE */
function checked(der: Uint8Array): Uint8Array {
  if (der.length > mostCertificateBytes)
    throw new SurfacedError(
      'E_ATTEST_CERTIFICATE',
      `${der.length} bytes, at most ${mostCertificateBytes} are sent`,
    );
  readCertificate(der);
  return Buffer.from(der);
}

/** Null, and a line in the log, when the bytes are no certificate that can be sent. */
function orLeftOut<Value>(log: Log, index: number, read: () => Value): Value | null {
  try {
    return read();
  } catch (problem) {
    if (!(problem instanceof SurfacedError)) throw problem;
    log.warn({ index: indexText(index), err: problem }, 'a certificate in the TPM is broken and is left out');
    return null;
  }
}
