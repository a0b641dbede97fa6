/** What a TPM's PCRs hold when the events of a log have been extended, one by one: PCR = H(PCR || digest). */
import { SurfacedError } from '../../errors.ts';
import type { HashName } from '../tpm2/index.ts';
import { type EventRecord, evNoAction, startupLocality } from './event-log.ts';
import { bankBytes, bankDigest, type Digests, pcrCount } from './log.ts';

/** Values of PCRs by index, of one bank. */
export type PcrValues = ReadonlyMap<number, Uint8Array>;

/**
 * PCRs as a log says they should be. Only the PCRs that a log extends are in it; their number and the banks bound its
 * memory. Compare with quoted values: what is not quoted proves nothing.
 */
export class Replay {
  readonly #banks: ReadonlyMap<HashName, Map<number, Uint8Array>>;

  /**
   * `start`: values to go on from, of a replay that took the earlier part of the same logs (see {@link values});
   * null for a TPM just started.
   */
  constructor(banks: readonly HashName[], start: ReadonlyMap<HashName, PcrValues> | null) {
    this.#banks = new Map(banks.map((bank) => [bank, new Map(start?.get(bank))]));
  }

  get banks(): HashName[] {
    return [...this.#banks.keys()];
  }

  /**
   * Extends a PCR (0 to 23) in every bank of the replay.
   * @throws SurfacedError E_ATTEST_LOG when the event has no digest of a bank, or one of another size
   */
  extend(pcr: number, digests: Digests): void {
    if (!Number.isInteger(pcr) || pcr < 0 || pcr >= pcrCount)
      throw new SurfacedError('E_ATTEST_LOG', `replay, pcr: ${pcr}, not 0 to ${pcrCount - 1}`);
    for (const bank of this.#banks.keys()) {
      const length = digests.get(bank)?.length;
      if (length !== bankBytes[bank])
        throw new SurfacedError('E_ATTEST_LOG', `replay, digest: an event of PCR ${pcr} has none of ${bank}`);
    }
    for (const [bank, values] of this.#banks)
      values.set(pcr, bankDigest(bank, this.value(bank, pcr), digests.get(bank)!));
  }

  /**
   * Takes one event of the firmware. EV_NO_ACTION extends nothing; StartupLocality gives PCR 0 its start, as long as
   * nothing has extended it.
   * @throws SurfacedError E_ATTEST_LOG as {@link extend} does
   */
  event(record: EventRecord): void {
    if (record.type !== evNoAction) {
      this.extend(record.pcr, record.digests);
      return;
    }
    const locality = startupLocality(record);
    if (locality === null) return;
    for (const [bank, values] of this.#banks) {
      if (values.has(0)) continue;
      const start = Buffer.alloc(bankBytes[bank]);
      start.writeUInt8(locality, start.length - 1);
      values.set(0, start);
    }
  }

  /**
   * The value of a PCR now; its start where the log has not touched it: 0, and ff in PCR 17 to 22, which only a
   * dynamic launch resets (PC Client Platform TPM Profile, section 4.6.2).
   * @throws RangeError when the bank is not one of the replay
   */
  value(bank: HashName, pcr: number): Uint8Array {
    const values = this.#valuesOf(bank);
    return values.get(pcr) ?? Buffer.alloc(bankBytes[bank], pcr >= 17 && pcr <= 22 ? 0xff : 0);
  }

  /**
   * Values of all PCRs that the log has touched, as they are now.
   * @throws RangeError when the bank is not one of the replay
   */
  values(bank: HashName): PcrValues {
    return new Map(this.#valuesOf(bank));
  }

  #valuesOf(bank: HashName): Map<number, Uint8Array> {
    const values = this.#banks.get(bank);
    if (values === undefined) throw new RangeError(`${bank} is not replayed here`);
    return values;
  }
}
