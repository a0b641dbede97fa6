/** Logs as large as they may be, and PCRs that are as they say. */
import { eventLogLimits } from '../../../daemon/attest/logs/event-log.ts';
import { imaLimits } from '../../../daemon/attest/logs/ima-entry.ts';
import { measureLogLimits } from '../../../daemon/attest/logs/measure-log.ts';
import type { WholeLogs } from '../../../daemon/attest/verifier/types.ts';
import { agileRecord, binaryEntry, extension, sampleBanks, sha, specId, text } from '../logs/samples.ts';
import { bytesOf, fileRecord, imaList, Pcrs, systemdRecord } from './world.ts';

const bank = 'sha256' as const;

/** A record, and what it extends. */
interface Part {
  readonly bytes: Buffer;
  readonly pcr: number;
  readonly digest: Uint8Array;
}

/** Records until one of the limits is reached. */
function filled(
  pcrs: Pcrs,
  most: { readonly mostBytes: number; readonly mostRecords: number },
  part: (index: number) => Part,
  head: Buffer = Buffer.alloc(0),
): Buffer {
  const parts = [head];
  let total = head.length;
  for (let index = 0; index < most.mostRecords; index++) {
    const { bytes, pcr, digest } = part(index);
    total += bytes.length;
    if (total > most.mostBytes) break;
    parts.push(bytes);
    pcrs.extend(pcr, digest);
  }
  return Buffer.concat(parts);
}

const firmware = (pcrs: Pcrs, dataBytes: number): Buffer =>
  filled(
    pcrs,
    { ...eventLogLimits, mostRecords: eventLogLimits.mostRecords - 1 },
    (index) => {
      const event = { pcr: index % 8, type: 0x0d, data: Buffer.alloc(dataBytes, index) };
      return { bytes: agileRecord([bank], event), pcr: event.pcr, digest: sha(bank, event.data) };
    },
    specId(sampleBanks([bank])),
  );

function ima(pcrs: Pcrs): Buffer {
  const first = imaList(pcrs);
  return filled(pcrs, imaLimits, (index) => {
    const name = text(`/usr/lib/a/file/of/some/length/${index}`);
    const made = { template: 'ima-ng', algorithm: 'sha256', digest: bytesOf(`${index}`), name } as const;
    const entry = first[index] ?? made;
    return { bytes: binaryEntry(entry), pcr: 10, digest: extension(entry, bank) };
  });
}

const files = (pcrs: Pcrs): Buffer =>
  filled(pcrs, measureLogLimits, (recnum) => {
    const { bytes, digests } = fileRecord(`/opt/${recnum}`, `${recnum}`, { pcr: 14, recnum, bank });
    return { bytes, pcr: 14, digest: digests.get(bank) ?? Buffer.alloc(0) };
  });

const systemd = (pcrs: Pcrs): Buffer =>
  filled(pcrs, measureLogLimits, (index) => {
    const digest = bytesOf(`${index}`);
    // Six bytes of JSON for each character.
    return { bytes: systemdRecord(11, bank, digest, '\u0001'.repeat(10_000)), pcr: 11, digest };
  });

const none: WholeLogs = { firmware: null, ima: null, measured: null, systemd: null };

/** Cases by name: logs, and the PCRs that come with them. */
export function largeCases(): Readonly<Record<string, { readonly logs: WholeLogs; readonly pcrs: Pcrs }>> {
  const full = new Pcrs(bank);
  const events = firmware(full, 100);
  const list = ima(full);
  const logs = { firmware: events, ima: list, measured: files(full), systemd: systemd(full) };
  const few = new Pcrs(bank);
  const nested = Buffer.concat([Buffer.alloc(60_000, '['), text('\n')]);
  return {
    'all logs full': { logs, pcrs: full },
    'events of 1 MiB': {
      logs: { ...none, firmware: firmware(few, eventLogLimits.mostDataBytes) },
      pcrs: few,
    },
    'JSON that nests': { logs: { ...none, systemd: nested }, pcrs: new Pcrs(bank) },
  };
}
