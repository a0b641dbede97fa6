/** A TPM that does what a test says; it has room for three objects and three sessions, as TPMs have. */
import { flushContext, loadExternal } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { startAuthSession } from '../../../daemon/attest/tpm2/commands/policies.ts';
import type { AnyCommand } from '../../../daemon/attest/tpm2/commands/table.ts';
import type { Transport } from '../../../daemon/attest/tpm2/transport.ts';
import { buildResponse, failure, parseCommand, passwordAnswer } from './reverse.ts';

/** What becomes of one exchange; null: what a TPM would do. */
export type Answer = (command: Buffer) => Buffer | Promise<Buffer> | null;

const room = 3;
const bytesOf = (value: number, size: number): Buffer => {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32BE(value, size - 4);
  return bytes;
};
const sized = (bytes: Uint8Array): Buffer => Buffer.concat([bytesOf(bytes.length, 4).subarray(2), bytes]);

/** Holds handles, and counts what was sent. */
export class ScriptedTpm implements Transport {
  readonly name = 'scripted';
  hasResourceManager = false;
  /** Commands in the order in which they came. */
  readonly sent: Buffer[] = [];
  /** What each command was allowed to take, milliseconds. */
  readonly allowedMs: number[] = [];
  /** Handles that are loaded; the value is different for everything that was ever loaded. */
  readonly loaded = new Map<number, number>();
  /** Answers to the next exchanges, the first one first. */
  readonly script: Answer[] = [];
  /** Runs before each command is looked at. */
  before: (command: Buffer) => Promise<void> | void = () => {};
  /** The Name that LoadExternal gives. */
  names: (serial: number) => Uint8Array = (serial) => bytesOf(serial, 34);
  closed = 0;
  #serial = 0;
  #isBusy = false;
  readonly #results = new Map<number, Uint8Array>();
  readonly #refusals = new Map<number, number>();

  /** These commands are done, with these result parameters. */
  answersAll(commands: readonly AnyCommand[], result: Uint8Array = Buffer.alloc(0)): void {
    for (const { code } of commands) this.#results.set(code, result);
  }

  /** This command is answered with this code. */
  refuses(command: AnyCommand, code: number): void {
    this.#refusals.set(command.code, code);
  }

  async exchange(command: Uint8Array, mostMs: number): Promise<Uint8Array> {
    if (this.#isBusy) throw new Error('a second command while the TPM is at one');
    this.#isBusy = true;
    try {
      const bytes = Buffer.from(command);
      this.sent.push(bytes);
      this.allowedMs.push(mostMs);
      await this.before(bytes);
      return (await this.script.shift()?.(bytes)) ?? this.does(bytes);
    } finally {
      this.#isBusy = false;
    }
  }

  async close(): Promise<void> {
    this.closed++;
  }

  /** What a TPM would do. */
  does(bytes: Buffer): Buffer {
    const { command, parameters, entries } = parseCommand(bytes);
    const refusal = this.#refusals.get(command.code);
    if (refusal !== undefined) return failure(refusal);
    if (command.code === flushContext.code) return this.#flushes(parameters.readUInt32BE(0));
    if (command.code === startAuthSession.code) return this.#loads(0x02000000, 0x903);
    if (command.code === loadExternal.code) return this.#loads(0x80000000, 0x902);
    const result = this.#results.get(command.code);
    if (result === undefined) return failure(0x143);
    const answers = entries?.map(() => passwordAnswer) ?? null;
    return buildResponse({ handle: null, entries: answers, parameters: Buffer.from(result) });
  }

  #flushes(handle: number): Buffer {
    return this.loaded.delete(handle)
      ? buildResponse({ handle: null, entries: null, parameters: Buffer.alloc(0) })
      : failure(0x1cb);
  }

  /** The lowest handle that is free, as TPMs give them. */
  #loads(first: number, full: number): Buffer {
    const handle = Array.from({ length: room }, (_, index) => first + index).find(
      (candidate) => !this.loaded.has(candidate),
    );
    if (handle === undefined) return failure(full);
    const serial = ++this.#serial;
    this.loaded.set(handle, serial);
    const value = first === 0x80000000 ? this.names(serial) : bytesOf(serial, 32);
    return buildResponse({ handle, entries: null, parameters: sized(value) });
  }
}
