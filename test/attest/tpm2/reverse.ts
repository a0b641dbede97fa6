/** Commands and responses taken apart as a TPM would, by the table of commands. */
import {
  type Attributes,
  type SessionAttribute,
  sessionAttributes,
} from '../../../daemon/attest/tpm2/attributes.ts';
import { encode } from '../../../daemon/attest/tpm2/codec.ts';
import { type AnyCommand, commandOf } from '../../../daemon/attest/tpm2/commands/table.ts';
import { digestBuffer } from '../../../daemon/attest/tpm2/structures/common.ts';
import { Reader, Writer } from '../../../daemon/attest/tpm2/wire.ts';

/** One entry of an authorization area; in a response the handle is null. */
export interface Entry {
  readonly handle: number | null;
  readonly nonce: Uint8Array;
  readonly attributes: Attributes<SessionAttribute>;
  readonly hmac: Uint8Array;
}

/** A command, taken apart but for its parameters. */
export interface ParsedCommand {
  readonly command: AnyCommand;
  readonly handles: readonly number[];
  /** Null: a command without sessions. */
  readonly entries: readonly Entry[] | null;
  readonly parameters: Buffer;
}

/** A response, taken apart but for its parameters. */
export interface ParsedResponse {
  readonly handle: number | null;
  readonly entries: readonly Entry[] | null;
  readonly parameters: Buffer;
}

/** TPM_CC of a command. */
export const codeOf = (bytes: Uint8Array): number => Buffer.from(bytes).readUInt32BE(6);
/** TPM_RC of a response. */
export const responseCodeOf = codeOf;

function readEntries(reader: Reader, hasHandles: boolean): Entry[] {
  const entries: Entry[] = [];
  while (reader.left > 0)
    entries.push({
      handle: hasHandles ? reader.u32() : null,
      nonce: digestBuffer.read(reader),
      attributes: sessionAttributes.read(reader),
      hmac: digestBuffer.read(reader),
    });
  return entries;
}

function entryBytes({ handle, nonce, attributes, hmac }: Entry): Buffer {
  const writer = new Writer();
  if (handle !== null) writer.u32(handle);
  digestBuffer.write(writer, nonce);
  sessionAttributes.write(writer, attributes);
  digestBuffer.write(writer, hmac);
  return writer.done();
}

/** Takes a command apart. */
export function parseCommand(bytes: Uint8Array): ParsedCommand {
  const reader = new Reader(bytes);
  const tag = reader.u16();
  const size = reader.u32();
  const code = reader.u32();
  const command = commandOf(code);
  if (command === null) throw new Error(`command 0x${code.toString(16)} is not in the table`);
  if (size !== bytes.length)
    throw new Error(`${command.name}: ${bytes.length} bytes say that they are ${size}`);
  const handles = command.handles.map(() => reader.u32());
  const entries = tag === 0x8002 ? readEntries(reader.part(reader.u32()), true) : null;
  return { command, handles, entries, parameters: reader.bytes(reader.left) };
}

/** The other way round. */
export function buildCommand({ command, handles, entries, parameters }: ParsedCommand): Buffer {
  const body = new Writer();
  for (const handle of handles) body.u32(handle);
  if (entries !== null) {
    const area = Buffer.concat(entries.map(entryBytes));
    body.u32(area.length);
    body.bytes(area);
  }
  body.bytes(parameters);
  return message(entries === null ? 0x8001 : 0x8002, command.code, body.done());
}

/** Takes a response apart whose code is 0. */
export function parseResponse(command: AnyCommand, bytes: Uint8Array): ParsedResponse {
  const reader = new Reader(bytes);
  const tag = reader.u16();
  if (reader.u32() !== bytes.length || reader.u32() !== 0)
    throw new Error(`${command.name}: no whole response`);
  const handle = command.returnsHandle ? reader.u32() : null;
  if (tag === 0x8001) return { handle, entries: null, parameters: reader.bytes(reader.left) };
  const parameters = reader.bytes(reader.u32());
  return { handle, entries: readEntries(reader, false), parameters };
}

/** The other way round. */
export function buildResponse({ handle, entries, parameters }: ParsedResponse): Buffer {
  const body = new Writer();
  if (handle !== null) body.u32(handle);
  if (entries !== null) body.u32(parameters.length);
  body.bytes(parameters);
  for (const entry of entries ?? []) body.bytes(entryBytes(entry));
  return message(entries === null ? 0x8001 : 0x8002, 0, body.done());
}

/** A response that is nothing but its code. */
export const failure = (code: number): Buffer => message(0x8001, code, Buffer.alloc(0));

/** What a TPM answers to a password. */
export const passwordAnswer: Entry = {
  handle: null,
  nonce: Buffer.alloc(0),
  attributes: new Set(['continueSession']),
  hmac: Buffer.alloc(0),
};

/** One byte of TPMA_SESSION. */
export const attributeByte = (attributes: Attributes<SessionAttribute>): Buffer =>
  encode(sessionAttributes, attributes);

function message(tag: number, code: number, body: Buffer): Buffer {
  const writer = new Writer();
  writer.u16(tag);
  writer.u32(10 + body.length);
  writer.u32(code);
  writer.bytes(body);
  return writer.done();
}
