/** `surfaced gateway`: a gateway from its config file. */
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import type { Log, LogLevel } from '../log.ts';

/** Reads the config and starts; everything wrong with the file is reported at once. @throws SurfacedError */
export async function runGateway(file: string, logFor: (level: LogLevel) => Promise<Log>): Promise<Gateway> {
  const config = await loadConfig('Gateway', file);
  const log = await logFor(config.log.level);
  return startGateway({ config, clock: systemClock, random: Math.random, log });
}
