/** PCRs: read all at once, extend, and what a change would make of them (TPM 2.0 Part 3, section 22). */
import { digest, hashOf } from './algorithms.ts';
import { pcrExtend, pcrRead } from './commands/pcrs.ts';
import { permanent } from './keys.ts';
import { TpmSessionError } from './session.ts';
import type { HashValue, PcrSelection } from './structures/pcr.ts';
import type { Executor } from './tpm.ts';

/** Values of one bank, by PCR number. */
export interface PcrBank {
  readonly hash: number;
  readonly values: ReadonlyMap<number, Uint8Array>;
}

/** How often PCRs are read again when one was extended between two reads. */
const mostAttempts = 10;

/**
 * PCR values of several banks from one moment: a TPM gives eight at a time, so that they are read again when something was
 * extended meanwhile. PCRs that the TPM does not have are missing.
 * @throws TpmSessionError when they never stand still
 */
export async function readPcrs(
  executor: Executor,
  selections: readonly PcrSelection[],
): Promise<readonly PcrBank[]> {
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const banks = await readOnce(executor, selections);
    if (banks !== null) return banks;
  }
  throw new TpmSessionError(`the PCRs changed during each of ${mostAttempts} readings`);
}

/** Null when the update counter moved between the parts. */
async function readOnce(
  executor: Executor,
  selections: readonly PcrSelection[],
): Promise<readonly PcrBank[] | null> {
  const values = new Map(selections.map(({ hash }) => [hash, new Map<number, Uint8Array>()]));
  let left = selections;
  let counter: number | null = null;
  while (left.some(({ pcrs }) => pcrs.length > 0)) {
    const read = await executor.execute(pcrRead, { handles: {}, parameters: { pcrSelectionIn: left } });
    if (counter !== null && read.pcrUpdateCounter !== counter) return null;
    counter = read.pcrUpdateCounter;
    const got = read.pcrSelectionOut.flatMap(({ hash, pcrs }) => pcrs.map((pcr) => ({ hash, pcr })));
    if (got.length === 0) break; // What is left does not exist.
    if (got.length !== read.pcrValues.length)
      throw new TpmSessionError(`${got.length} PCRs are named and ${read.pcrValues.length} values given`);
    for (const [index, { hash, pcr }] of got.entries()) {
      const bank = values.get(hash);
      const value = read.pcrValues[index];
      if (bank === undefined || value === undefined || bank.has(pcr))
        throw new TpmSessionError('PCR_Read gave what was not asked for');
      bank.set(pcr, value);
    }
    left = left.map(({ hash, pcrs }) => ({ hash, pcrs: pcrs.filter((pcr) => !values.get(hash)?.has(pcr)) }));
  }
  return selections.map(({ hash }) => ({ hash, values: values.get(hash) ?? new Map() }));
}

/** Extends a PCR in the banks that digests are given for; its other banks then say nothing any more. */
export async function extendPcr(
  executor: Executor,
  pcr: number,
  digests: readonly HashValue[],
): Promise<void> {
  await executor.execute(pcrExtend, { handles: { pcrHandle: permanent(pcr) }, parameters: { digests } });
}

/** What extending makes of a value: H(old || digest) (Part 1, section 17.2). */
export const extended = (hash: number, old: Uint8Array, value: Uint8Array): Buffer =>
  digest(hash, old, value);

/**
 * The digest over PCRs as quotes and policies have it: all values in the order of the selections, hashed with `hash`.
 * @throws RangeError when one of them is missing
 */
export function pcrDigest(
  hash: number,
  selections: readonly PcrSelection[],
  banks: readonly PcrBank[],
): Buffer {
  const values = selections.flatMap((selection) =>
    selection.pcrs.map((pcr) => {
      const value = banks.find((bank) => bank.hash === selection.hash)?.values.get(pcr);
      if (value === undefined)
        throw new RangeError(`PCR ${pcr} of ${hashOf(selection.hash).name} is missing`);
      return value;
    }),
  );
  return digest(hash, ...values);
}
