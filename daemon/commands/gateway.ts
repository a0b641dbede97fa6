/** `surfaced gateway`: a gateway from its config file. */

import { segmentPattern } from '../bridge/wire/topics.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { SurfacedError } from '../errors.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import type { Log, LogLevel } from '../log.ts';

/**
 * Reads the config and starts; everything wrong with the file is reported at once.
 * @param name over that in the file; null: that one
 * @throws SurfacedError
 */
export async function runGateway(
  file: string,
  name: string | null,
  logFor: (level: LogLevel) => Promise<Log>,
): Promise<Gateway> {
  if (name !== null && !segmentPattern.test(name))
    throw new SurfacedError('E_USAGE', `--name: ${name} has other characters than a-z, 0-9 and -`);
  const read = await loadConfig('Gateway', file);
  const config = name === null ? read : { ...read, name };
  const log = await logFor(config.log.level);
  return startGateway({ config, clock: systemClock, random: Math.random, log });
}
