/** What a command is, as data: TPM 2.0 Part 3 has a table for each, and this says the same. */
import { type Codec, type StructOf, struct } from '../codec.ts';

type Fields = Readonly<Record<string, Codec<unknown>>>;

/** A command with named handles, parameters and results. */
export interface Command<HandleName extends string, Parameters, Result> {
  /** As Part 3 spells it, e.g. `TPM2_Quote`. */
  readonly name: string;
  /** TPM_CC. */
  readonly code: number;
  /** Names of the handles, in order; those that need an authorization come first. */
  readonly handles: readonly HandleName[];
  /** How many of them need an authorization: those with an `@` in Part 3. */
  readonly authorized: number;
  readonly parameters: Codec<Parameters>;
  /** Whether the response begins with a handle, which is then in the result as `handle`: something was loaded. */
  readonly returnsHandle: boolean;
  readonly result: Codec<Result>;
  /** Whether the first parameter is a TPM2B, which a session can encrypt on its way (Part 1, section 21). */
  readonly canEncryptCommand: boolean;
  /** The same for the first parameter of the response. */
  readonly canEncryptResponse: boolean;
  /** How long the TPM may take, milliseconds; as Linux grants it (drivers/char/tpm/tpm2-cmd.c). */
  readonly mostMs: number;
}

/** What nothing else is said about: 120 s. */
const ordinaryMs = 120_000;
/** For commands that make keys: 300 s, an RSA key of a real TPM can take minutes. */
export const keyMs = 300_000;

/** What Part 3's tables say; what can be derived is. */
interface Table<HandleName extends string, Parameters extends Fields, Result extends Fields> {
  readonly name: string;
  readonly code: number;
  readonly handles: readonly HandleName[];
  readonly authorized: number;
  readonly parameters: Parameters;
  readonly result: Result;
  readonly mostMs?: number;
}

/** Writes a command down. */
export function define<
  HandleName extends string,
  const Parameters extends Fields,
  const Result extends Fields,
>(table: Table<HandleName, Parameters, Result>): Command<HandleName, StructOf<Parameters>, StructOf<Result>> {
  const { parameters, result, mostMs = ordinaryMs } = table;
  return {
    ...table,
    mostMs,
    parameters: struct(parameters),
    result: struct(result),
    returnsHandle: false,
    canEncryptCommand: beginsWithBuffer(parameters),
    canEncryptResponse: beginsWithBuffer(result),
  };
}

/** What a command that loads something gives besides its parameters. */
export interface Loaded {
  readonly handle: number;
}

/** Writes a command down whose response begins with a handle: what it loaded has to be flushed some time. */
export function defineLoading<
  HandleName extends string,
  const Parameters extends Fields,
  const Result extends Fields,
>(
  table: Table<HandleName, Parameters, Result>,
): Command<HandleName, StructOf<Parameters>, StructOf<Result> & Loaded> {
  const command = define(table);
  return { ...command, result: command.result as Codec<StructOf<Result> & Loaded>, returnsHandle: true };
}

const beginsWithBuffer = (fields: Fields): boolean => Object.values(fields)[0]?.isBuffer === true;

/** The parameters of a command. */
export type ParametersOf<Of> =
  Of extends Command<string, infer Parameters, infer _Result> ? Parameters : never;
/** The result of a command. */
export type ResultOf<Of> = Of extends Command<string, infer _Parameters, infer Result> ? Result : never;
