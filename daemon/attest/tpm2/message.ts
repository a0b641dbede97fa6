/** Commands and responses as bytes, with their sessions (TPM 2.0 Part 1, section 18). */
import { type Attributes, type SessionAttribute, sessionAttributes } from './attributes.ts';
import { decode, encode } from './codec.ts';
import type { Command } from './commands/definition.ts';
import { handle } from './handles.ts';
import { commandHash, type Entity, responseHash, type Session } from './session.ts';
import { digestBuffer } from './structures/common.ts';
import { headerBytes, mostMessageBytes } from './transport.ts';
import { Reader, TpmFormatError, Writer } from './wire.ts';

/** TPM_ST of messages. */
const tag = { noSessions: 0x8001, sessions: 0x8002 } as const;
/** Part 1, section 18.6.1: at most three. */
const mostSessions = 3;

/** A command that is ready to be written. */
export interface Call<HandleName extends string, Parameters> {
  readonly handles: Readonly<Record<HandleName, Entity>>;
  readonly parameters: Parameters;
  /** One for each handle that needs it, in order; null or missing: the entity's authorization value as a password. */
  readonly authorizations?: readonly (Session | null)[];
  /** Sessions that only encrypt. */
  readonly sessions?: readonly Session[];
  /** Authorization value of the first handle once the command was done, when the command changes it. */
  readonly authValueAfter?: Uint8Array;
}

/** One entry of the authorization area. */
interface Authorization {
  readonly session: Session | null;
  readonly entity: Entity | null;
  readonly attributes: Attributes<SessionAttribute>;
}

const noBytes = new Uint8Array(0);

/** A command on its way, which knows how to read its response. */
export class Message<HandleName extends string, Parameters, Result> {
  readonly #command: Command<HandleName, Parameters, Result>;
  readonly #call: Call<HandleName, Parameters>;
  readonly #authorizations: readonly Authorization[];

  /** @throws RangeError when there are more sessions than a command can have, or too few authorizations */
  constructor(command: Command<HandleName, Parameters, Result>, call: Call<HandleName, Parameters>) {
    this.#command = command;
    this.#call = call;
    const { authorizations = [], sessions = [] } = call;
    const entities = command.handles.slice(0, command.authorized).map((name) => call.handles[name]);
    const can = { encryptCommand: command.canEncryptCommand, encryptResponse: command.canEncryptResponse };
    const entry = (session: Session | null, entity: Entity | null): Authorization => ({
      session,
      entity,
      attributes: session?.attributes(can) ?? new Set(),
    });
    this.#authorizations = [
      ...entities.map((entity, index) => entry(authorizations[index] ?? null, entity)),
      ...sessions.map((session) => entry(session, null)),
    ];
    if (authorizations.length > command.authorized)
      throw new RangeError(`${command.name} takes ${command.authorized} authorizations`);
    if (this.#authorizations.length > mostSessions)
      throw new RangeError(`${command.name}: more than ${mostSessions} sessions`);
  }

  /** The bytes; takes a new nonce in each session, so that they are made once and sent again as they are. */
  encode(): Buffer {
    const { name, code, handles, parameters } = this.#command;
    for (const { session } of this.#authorizations) session?.roll();
    const entities = handles.map((handleName) => this.#call.handles[handleName]);
    const body = this.#encrypted(encode(parameters, this.#call.parameters));
    const writer = new Writer();
    for (const entity of entities) writer.u32(entity.handle);
    if (this.#authorizations.length > 0) {
      const area = this.#authorizationArea(
        entities.map((entity) => entity.name),
        body,
      );
      writer.u32(area.length);
      writer.bytes(area);
    }
    writer.bytes(body);
    const rest = writer.done();
    const size = headerBytes + rest.length;
    if (size > mostMessageBytes) throw new RangeError(`${name}: ${size} bytes are more than a TPM takes`);
    const header = new Writer();
    header.u16(this.#authorizations.length > 0 ? tag.sessions : tag.noSessions);
    header.u32(size);
    header.u32(code);
    return Buffer.concat([header.done(), rest]);
  }

  /**
   * Reads a response whose code is 0.
   * @throws TpmFormatError, TpmSessionError
   */
  decode(response: Uint8Array): { readonly result: Result; readonly ended: readonly Session[] } {
    const { name, returnsHandle } = this.#command;
    const reader = new Reader(response);
    const hasSessions = reader.u16() === tag.sessions;
    reader.bytes(8);
    if (hasSessions !== this.#authorizations.length > 0)
      throw new TpmFormatError(`${name}: the response has ${hasSessions ? '' : 'no '}sessions`);
    const loaded = returnsHandle ? { handle: reader.u32() } : {};
    const received = reader.bytes(hasSessions ? reader.u32() : reader.left);
    const ended = this.#checkSessions(reader, received);
    reader.end(name);
    const body = this.#decrypted(received);
    return { result: { ...decode(name, this.#command.result, body), ...loaded }, ended };
  }

  #encrypted(body: Buffer): Buffer {
    const found = this.#authorizations.find(({ attributes }) => attributes.has('decrypt'));
    if (found?.session == null) return body;
    const length = body.readUInt16BE(0);
    const first = found.session.encrypt(body.subarray(2, 2 + length), found.entity);
    return Buffer.concat([body.subarray(0, 2), first, body.subarray(2 + length)]);
  }

  #decrypted(body: Buffer): Buffer {
    const found = this.#authorizations.find(({ attributes }) => attributes.has('encrypt'));
    if (found?.session == null) return body;
    const length = body.length < 2 ? 0 : body.readUInt16BE(0);
    if (2 + length > body.length)
      throw new TpmFormatError(`${this.#command.name}: an encrypted parameter is cut off`);
    const first = found.session.decrypt(body.subarray(2, 2 + length), found.entity);
    return Buffer.concat([body.subarray(0, 2), first, body.subarray(2 + length)]);
  }

  #authorizationArea(names: readonly Uint8Array[], body: Buffer): Buffer {
    const writer = new Writer();
    const first = this.#authorizations[0]?.session;
    const encrypting = (attribute: SessionAttribute) =>
      this.#authorizations.find(({ attributes }) => attributes.has(attribute))?.session;
    const others = new Set([encrypting('decrypt'), encrypting('encrypt')]);
    others.delete(first ?? undefined);
    const otherNonces = [...others].flatMap((session) => (session == null ? [] : [session.nonceTPM]));
    this.#authorizations.forEach(({ session, entity, attributes }, index) => {
      const { nonce, hmac } =
        session === null
          ? { nonce: noBytes, hmac: entity?.authValue ?? noBytes }
          : session.authorize(
              {
                cpHash: commandHash(session.hash, this.#command.code, names, body),
                entity,
                // Only a session that authorizes covers them, not one that is first and only encrypts (seen with libtpms 0.9.2).
                otherNonces: index === 0 && entity !== null ? otherNonces : [],
              },
              attributes,
            );
      writer.u32(session?.handle ?? handle.password);
      digestBuffer.write(writer, nonce);
      sessionAttributes.write(writer, attributes);
      digestBuffer.write(writer, hmac);
    });
    return writer.done();
  }

  #checkSessions(reader: Reader, received: Buffer): Session[] {
    const { authValueAfter = null } = this.#call;
    const ended: Session[] = [];
    this.#authorizations.forEach(({ session, entity }, index) => {
      const nonceTPM = digestBuffer.read(reader);
      const attributes = sessionAttributes.read(reader);
      const hmac = digestBuffer.read(reader);
      if (session === null) return;
      const rpHash = responseHash(session.hash, this.#command.code, received);
      const after = index === 0 ? authValueAfter : null;
      session.check({ rpHash, entity, authValueAfter: after, nonceTPM, attributes, hmac });
      if (!attributes.has('continueSession')) ended.push(session);
    });
    return ended;
  }
}
