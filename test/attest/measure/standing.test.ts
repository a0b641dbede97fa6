import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { fileMeasurement } from '../../../daemon/attest/logs/measure-log.ts';
import { Replay } from '../../../daemon/attest/logs/replay.ts';
import { measuredBefore, readLog, standingOf } from '../../../daemon/attest/measure/standing.ts';
import type { HashName } from '../../../daemon/attest/tpm2/index.ts';

const banks: readonly HashName[] = ['sha256', 'sha384'];
const sha256 = createHash('sha256').update('content').digest();
const logOf = (pcrs: readonly number[]) =>
  Buffer.concat(
    pcrs.map((pcr, recnum) => fileMeasurement({ path: `/file${recnum}`, sha256, pcr, banks, recnum }).bytes),
  );
const zeros = new Map([8, 9, 14].map((pcr) => [pcr, true] as const));

/** What a TPM holds that was extended with the first records. */
function registersAfter(bytes: Buffer, count: number) {
  const replay = new Replay(banks, null);
  for (const record of readLog(bytes, false).records.slice(0, count))
    replay.extend(record.pcr!, record.digests);
  return new Map(
    banks.map((bank) => [bank, new Map([...zeros.keys()].map((pcr) => [pcr, replay.value(bank, pcr)]))]),
  );
}

t.test('any log, extended so far, with a mark anywhere', async (t) => {
  const pcrs = fc.array(fc.constantFrom(8, 9, 14), { minLength: 1, maxLength: 6 });
  const result = fc.check(
    fc.property(pcrs, fc.nat(), fc.nat(), fc.boolean(), (numbers, so, from, isMarked) => {
      const bytes = logOf(numbers);
      const extended = so % (numbers.length + 1);
      const marked = isMarked ? from % (numbers.length + 1) : null;
      const { records } = readLog(bytes, false);
      const standing = standingOf({ records, registers: registersAfter(bytes, extended), pcr: 14, marked });
      const isKnown = extended === numbers.length || (marked !== null && extended >= marked);
      if (isKnown) return standing.kind === 'extended' && standing.extended === extended;
      return standing.kind === (extended === 0 ? 'reset' : 'other');
    }),
    { numRuns: 300 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});

t.test('a PCR of the log that the TPM does not have', async (t) => {
  const bytes = logOf([14]);
  const registers = new Map([['sha256', new Map()]] as const);
  const { records } = readLog(bytes, false);
  t.same(standingOf({ records, registers, pcr: 14, marked: null }), { kind: 'other', pcr: 14 });
  const strange = new Map([['sha512', new Map([[14, Buffer.alloc(64)]])]] as const);
  t.throws(() => standingOf({ records, registers: strange, pcr: 14, marked: null }), {
    code: 'E_ATTEST_LOG',
  });
});

t.test('a torn end', async (t) => {
  const bytes = logOf([14, 14]);
  const torn = bytes.subarray(0, -5);
  t.throws(() => readLog(torn, false), { code: 'E_ATTEST_LOG' });
  const { records, end } = readLog(torn, true);
  t.equal(records.length, 1);
  t.same(end, records[0]?.end);
  t.same(readLog(Buffer.from('\x1e{"rec'), true), { records: [], end: { bytes: 0, records: 0 } });
  t.throws(() => readLog(Buffer.from('nonsense\n\x1e{"rec'), true), { code: 'E_ATTEST_LOG' });
});

t.test('a record whose digest is not that of its text does not count as measured', async (t) => {
  const bytes = logOf([14]);
  const known = (log: Buffer) =>
    measuredBefore(readLog(log, false).records, 14, banks)({ path: '/file0', sha256 });
  t.equal(known(bytes), true);
  const forged = fileMeasurement({ path: '/other', sha256, pcr: 14, banks, recnum: 0 }).bytes.toString();
  t.equal(known(Buffer.from(forged.replace('/other', '/file0'))), false);
  t.equal(measuredBefore(readLog(bytes, false).records, 15, banks)({ path: '/file0', sha256 }), false);
});
