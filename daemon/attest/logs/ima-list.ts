/** The measurement list of IMA, read entry by entry, in both forms that the kernel gives it in (ima_fs.c). */
import { readImaAscii } from './ima-ascii.ts';
import { readImaBinary } from './ima-binary.ts';
import { type ImaEntry, type ImaForm, imaLimits } from './ima-entry.ts';
import { boundedLog, isFilledWith, type LogPosition } from './log.ts';
import { LogReader } from './log-reader.ts';

const logName = 'IMA list';

/**
 * The entries of a list one after the other, with constant memory. `bytes` begins at `from`. An entry of another PCR
 * than `pcr` is an error, as nothing would show whether it is missing.
 * @throws SurfacedError E_ATTEST_LOG
 */
export function* imaEntries(
  bytes: Uint8Array,
  options: { readonly form: ImaForm; readonly pcr: number; readonly from: LogPosition },
): Generator<ImaEntry, void, undefined> {
  const { form, pcr, from } = options;
  const buffer = boundedLog(logName, bytes, from, imaLimits.mostBytes);
  const reader = new LogReader(logName, buffer, from.bytes);
  const read = form === 'ascii' ? readImaAscii : readImaBinary;
  let start = from;
  while (reader.left > 0) {
    if (start.records >= imaLimits.mostRecords)
      throw reader.error('entries', `more than ${imaLimits.mostRecords}`);
    const item = read(reader, pcr);
    const end = { bytes: from.bytes + reader.at, records: start.records + 1 };
    yield { ...item, isViolation: isFilledWith(item.listedHash, 0), start, end };
    start = end;
  }
}
