/**
 * `surfaced device` as it runs from an image of another version: what the version is and where updates are asked for comes
 * from the command line. Arguments: Device file, version, folder of updates.
 */
import { runDevice } from '../../daemon/commands/device.ts';
import { fail, runRole } from '../../daemon/commands/run.ts';
import { createLog } from '../../daemon/log.ts';

const [file = '', firmware = '', updates = ''] = process.argv.slice(2);
await runRole((signal) =>
  runDevice({ file, firmware, updates, logFor: async (level) => createLog(level), signal }),
).catch(fail);
