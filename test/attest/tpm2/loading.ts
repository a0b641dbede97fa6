/** A client of a TPM that does what a test says, and commands that load something. */
import { decode } from '../../../daemon/attest/tpm2/codec.ts';
import { getRandom } from '../../../daemon/attest/tpm2/commands/general.ts';
import { flushContext, loadExternal } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { startAuthSession } from '../../../daemon/attest/tpm2/commands/policies.ts';
import { permanent } from '../../../daemon/attest/tpm2/keys.ts';
import { akEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import { type Executor, Tpm } from '../../../daemon/attest/tpm2/tpm.ts';
import { parseCommand } from './reverse.ts';
import type { ScriptedTpm } from './scripted-tpm.ts';
import { hex } from './vectors.ts';

const none = Buffer.alloc(0);
/** Short enough for tests; long enough for a few repetitions. */
export const patience = { firstMs: 1, longestMs: 2, totalMs: 7 };
/** A client of it, which knows one command at least. */
export const start = (transport: ScriptedTpm) => {
  transport.answersAll([getRandom], hex('0002aabb'));
  return new Tpm({ transport, patience });
};
/** A command that loads nothing. */
export const random = (executor: Executor, bytesRequested = 2) =>
  executor.execute(getRandom, { handles: {}, parameters: { bytesRequested } });
/** Loads an object. */
export const load = (executor: Executor) =>
  executor.execute(loadExternal, {
    handles: {},
    parameters: { inPrivate: none, inPublic: akEccP256, hierarchy: 0x40000007 },
  });
/** Starts a session. */
export const session = (executor: Executor) =>
  executor.execute(startAuthSession, {
    handles: { tpmKey: permanent(0x40000007), bind: permanent(0x40000007) },
    parameters: {
      nonceCaller: Buffer.alloc(32),
      encryptedSalt: none,
      sessionType: 0,
      symmetric: null,
      authHash: 0x0b,
    },
  });
/** What was sent. */
export const names = (transport: ScriptedTpm) =>
  transport.sent.map((bytes) => parseCommand(bytes).command.name.slice('TPM2_'.length));
/** Handles that were flushed, in order. */
export const flushed = (transport: ScriptedTpm) =>
  transport.sent
    .map((bytes) => parseCommand(bytes))
    .filter(({ command }) => command.code === flushContext.code)
    .map(({ parameters }) => decode('it', flushContext.parameters, parameters).flushHandle);

/** Resolves when the TPM gets to this command; it goes on with `release`. */
export function held(transport: ScriptedTpm, code: number) {
  let release = () => {};
  const reached = new Promise<void>((onReached) => {
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    transport.before = async (bytes) => {
      if (parseCommand(bytes).command.code !== code) return;
      transport.before = () => {};
      onReached();
      await gate;
    };
  });
  return { reached, release: () => release() };
}

/** A response with the size that it has. */
export function resized(response: Buffer): Buffer {
  response.writeUInt32BE(response.length, 2);
  return response;
}
