/** PCRs as measuring needs them: which banks have them, what they hold, how often they began anew. */
import type { Digests } from '../logs/log.ts';
import {
  algorithm,
  type Executor,
  extendPcr,
  generalCommands,
  type HashName,
  hashOf,
  isHash,
  type PcrSelection,
  pcrBanks,
  readPcrs,
} from '../tpm2/index.ts';
import { measureError } from './content.ts';
import type { Mark } from './log-file.ts';
import type { Registers } from './standing.ts';

/** Banks that have the PCR, and are of hashes that are known here. @throws SurfacedError E_MEASURE when there is none */
export async function activeBanks(executor: Executor, pcr: number): Promise<HashName[]> {
  const banks = (await pcrBanks(executor)).flatMap(({ hash, pcrs }) =>
    isHash(hash) && pcrs.includes(pcr) ? [hashOf(hash).name] : [],
  );
  if (banks.length === 0) throw measureError(`PCR ${pcr}`, 'the TPM has no bank with it');
  return banks;
}

/** Starts of the TPM, as far as they count. */
export type Epoch = Pick<Mark, 'resetCount' | 'restartCount'>;

/** Reads them. */
export async function epochOf(executor: Executor): Promise<Epoch> {
  const { currentTime } = await executor.execute(generalCommands.readClock, { handles: {}, parameters: {} });
  const { resetCount, restartCount } = currentTime.clockInfo;
  return { resetCount, restartCount };
}

/** Values of these PCRs in every bank. */
export async function registersOf(
  executor: Executor,
  pcrs: readonly number[],
  banks: readonly HashName[],
): Promise<Registers> {
  const selections = banks.map((bank): PcrSelection => ({ hash: algorithm[bank], pcrs: [...pcrs] }));
  const read = await readPcrs(executor, selections);
  return new Map(read.map(({ hash, values }) => [hashOf(hash).name, values]));
}

/** Extends a PCR in these banks. */
export async function extend(executor: Executor, pcr: number, digests: Digests): Promise<void> {
  const values = [...digests].map(([bank, digest]) => ({ hash: algorithm[bank], digest }));
  await extendPcr(executor, pcr, values);
}
