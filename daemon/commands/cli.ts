/** What commands that are declared outside main.ts share with it. Each declares itself and loads its work when it is called. */
import { InvalidArgumentError, Option } from 'commander';
import type { Log, LogLevel } from '../log.ts';

/** Form of a result. */
export type Output = 'text' | 'json';

/** What main.ts gives to the files that declare commands. */
export interface CommandLine {
  logFor(level: LogLevel): Promise<Log>;
  /** Writes a result to stdout. */
  print(text: string): void;
}

export const gatewayConfig = () => new Option('--config <file>', 'Gateway file').makeOptionMandatory();
export const output = () =>
  new Option('-o, --output <format>', 'form of the result').choices(['text', 'json']).default('text');

/** A parser for an option that takes a whole number. */
export const wholeNumber =
  (least: number, most: number) =>
  (value: string): number => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };

/** A parser for an option that may be repeated. */
export const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
