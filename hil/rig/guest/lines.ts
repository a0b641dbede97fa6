/**
 * The simulated lines of the panel, from the side of the world: what a switch or a knob does to a pin, and what a LED on
 * a pin would show. Attributes: the kernel's Documentation/admin-guide/gpio/gpio-sim.rst.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const platform = '/sys/devices/platform';

/** Folder of a line's attributes; throws when no simulated chip has this line. */
function lineFolder(line: number): string {
  for (const device of readdirSync(platform)) {
    for (const chip of readdirSync(path.join(platform, device)).filter((name) =>
      name.startsWith('gpiochip'),
    )) {
      const folder = path.join(platform, device, chip, `sim_gpio${line}`);
      if (existsSync(folder)) return folder;
    }
  }
  throw new Error(`No simulated line ${line} below ${platform}`);
}

/** Path of the attribute that says where the world pulls a line: `pull-up` or `pull-down`. */
export const pullPath = (line: number): string => path.join(lineFolder(line), 'pull');

/** Pulls an input to a level, as a switch does; an edge when the level was another. No effect on an output. */
export function setLine(line: number, isHigh: boolean): void {
  writeFileSync(pullPath(line), isHigh ? 'pull-up' : 'pull-down');
}

/** The level of a line: what the program drives an output to, else where the world pulls it. */
export function readLine(line: number): boolean {
  return readFileSync(path.join(lineFolder(line), 'value'), 'utf8').trim() === '1';
}

/** A contact that opens and closes this many times, as quickly as this process can, before it rests at the level. */
export function bounceLine(line: number, isHigh: boolean, bounces: number): void {
  const pull = pullPath(line);
  const levels = isHigh ? ['pull-up', 'pull-down'] : ['pull-down', 'pull-up'];
  for (let index = 0; index < bounces; index += 1) for (const level of levels) writeFileSync(pull, level);
  writeFileSync(pull, levels[0]!);
}
