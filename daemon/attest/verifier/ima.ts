/** Judges the list of IMA against the quoted PCR 10. */
import type { QuotableBank } from '../evidence/evidence.ts';
import { compareBootAggregate } from '../logs/boot-aggregate.ts';
import { type ImaEntry, imaPcr } from '../logs/ima-entry.ts';
import { imaEntries } from '../logs/ima-list.ts';
import { findImaPrefix, imaPrefixAtStart } from '../logs/ima-prefix.ts';
import { logStart } from '../logs/log.ts';
import type { PcrValues } from '../logs/replay.ts';
import { failed, passed, type Ruling, skipped } from './checks.ts';

/** How much of the list the quote proves. */
export interface ImaFound {
  readonly entries: number;
  /** Bytes of these entries. */
  readonly bytes: number;
  readonly violations: number;
}

/**
 * Searches for the prefix that gives the quoted value. Each bank must have been extended with its own hash of the template
 * data, as Linux does since 5.8: the padded SHA-1 of older kernels is worth no more than SHA-1.
 *
 * A list without a TPM behind it from the start ("ima-not-anchored") is skipped, never passed: a policy that needs IMA then
 * does not match.
 */
export function imaRuling(
  bytes: Uint8Array | null,
  {
    bank,
    pcrs,
    touched,
    beforeUserspace,
  }: {
    readonly bank: QuotableBank;
    readonly pcrs: PcrValues;
    /** PCRs that other logs extend. */
    readonly touched: ReadonlySet<number>;
    /** What a PCR was when the kernel started; null: not quoted. */
    readonly beforeUserspace: (pcr: number) => Uint8Array | null;
  },
): Ruling<ImaFound> | Ruling<null> {
  if (bytes === null) return skipped('logs, ima: was not sent');
  const quoted = pcrs.get(imaPcr);
  if (quoted === undefined) return skipped(`logs, ima: PCR ${imaPcr} is not quoted`);
  if (touched.has(imaPcr))
    return failed(`logs, ima: PCR ${imaPcr} extended by another log, too, in an order that is not known`);
  const { verdict, reason, prefix } = findImaPrefix({
    bytes,
    form: 'binary',
    pcr: imaPcr,
    bank,
    rule: 'own-hash',
    from: imaPrefixAtStart(bank),
    quoted,
  });
  if (verdict === 'empty') return skipped(`logs, ima: ${reason}`);
  if (verdict === 'no-prefix') return failed(`logs, ima: ${reason}`);
  if (prefix.wrongHashes > 0)
    return failed(`logs, ima: template hash of ${prefix.wrongHashes} entries is not that of their fields`);
  if (verdict === 'ima-not-anchored' || prefix.bootAggregate === null)
    return skipped(`logs, ima: ima-not-anchored, ${reason}`);
  const aggregate = compareBootAggregate(prefix.bootAggregate, (of, pcr) =>
    of === bank ? beforeUserspace(pcr) : null,
  );
  if (aggregate === 'different')
    return failed(
      'logs, ima: boot_aggregate is not that of the quoted PCRs 0 to 9: another boot, or extended since',
    );
  const told = aggregate === 'same' ? '' : '; boot_aggregate cannot be compared, its PCRs are not quoted';
  const { records: entries } = prefix.position;
  return passed(`logs, ima: ${reason}${told}`, {
    entries,
    bytes: prefix.position.bytes,
    violations: prefix.violations,
  });
}

/** The entries that the quote proves. */
export const provenEntries = (list: Uint8Array, { bytes }: ImaFound): Iterable<ImaEntry> =>
  imaEntries(list.subarray(0, bytes), { form: 'binary', pcr: imaPcr, from: logStart });
