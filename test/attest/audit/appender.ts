/**
 * A gateway that does nothing but append, until it is killed: `appender.ts FOLDER FIRST`. Prints the number of each record
 * once it is acknowledged.
 */
import { writeSync } from 'node:fs';
import path from 'node:path';
import { openAudit } from '../../../daemon/attest/audit/audit-log.ts';
import { keySigner } from '../../../daemon/attest/audit/signers.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { silentLog } from '../../../daemon/log.ts';
import { certificate } from './rig.ts';

const [folder = '', first = '0'] = process.argv.slice(2);
const signer = { ...(await keySigner(path.join(folder, 'key.pem'))), pauseMs: 5 };
const parts = { folder: path.join(folder, 'log'), signer, clock: systemClock, log: silentLog };
const audit = await openAudit({ ...parts, segmentBytes: 1_000_000 });

/** Groups of many pages: the kernel looks for SIGKILL between two pages of a write. */
const event = (number: number) => ({
  ...certificate(number),
  evidence: 'e'.repeat(number % 7 === 0 ? 100_000 : 30),
});
for (let next = Number(first); ; ) {
  const group = Array.from({ length: 1 + (next % 40) }, () => next++);
  await Promise.all(
    group.map(async (number) => {
      await audit.append(event(number));
      writeSync(1, `${number}\n`);
    }),
  );
}
