import t from 'tap';
import { decode, encode } from '../../../daemon/attest/tpm2/codec.ts';
import * as attestation from '../../../daemon/attest/tpm2/commands/attestation.ts';
import * as general from '../../../daemon/attest/tpm2/commands/general.ts';
import * as nv from '../../../daemon/attest/tpm2/commands/nv.ts';
import * as objects from '../../../daemon/attest/tpm2/commands/objects.ts';
import * as pcrs from '../../../daemon/attest/tpm2/commands/pcrs.ts';
import * as policies from '../../../daemon/attest/tpm2/commands/policies.ts';
import { commandOf, commands } from '../../../daemon/attest/tpm2/commands/table.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import {
  buildCommand,
  buildResponse,
  codeOf,
  type Entry,
  failure,
  parseCommand,
  parseResponse,
  responseCodeOf,
} from './reverse.ts';
import { exchanges, hex, logs, primaryRows } from './vectors.ts';

t.test('every command that is written down is in the table, once', async (t) => {
  const modules: readonly Readonly<Record<string, unknown>>[] = [
    attestation,
    general,
    nv,
    objects,
    pcrs,
    policies,
  ];
  const written = modules
    .flatMap((module) => Object.values(module))
    .filter((value) => typeof value === 'object' && value !== null && 'mostMs' in value);
  t.same(new Set(commands), new Set(written));
  t.equal(commands.length, written.length);
  t.equal(new Set(commands.map(({ code }) => code)).size, commands.length, 'codes');
  t.equal(new Set(commands.map(({ name }) => name)).size, commands.length, 'names');
  for (const command of commands) t.equal(commandOf(command.code), command);
  t.equal(commandOf(0x1ff), null);
});

/** Commands which were sent to see how they are refused: they do not follow their own tables. */
const malformed = new Set([
  '80010000000b0000017b00', // GetRandom, truncated
  '80010000000d0000017b000800', // GetRandom, with a byte too many
  '80030000000c0000017b0008', // GetRandom, with a tag that does not exist
  '80010000001000000173000000000000', // ReadPublic of a PCR, with bytes too many
  '80010000000a00000158', // Quote of nothing
]);

const has = (entries: readonly Entry[] | null, attribute: 'decrypt' | 'encrypt') =>
  entries?.some(({ attributes }) => attributes.has(attribute)) === true;

t.test('every exchange with a TPM, apart and together again', async (t) => {
  const count = { commands: 0, encrypted: 0, responses: 0, encryptedResponses: 0, failures: 0 };
  const unknown = new Set<number>();
  for (const log of logs)
    for (const [index, { name, note, cmd, rsp }] of exchanges(log).entries()) {
      const what = `${log}[${index}] ${name}${note === undefined ? '' : `: ${note}`}`;
      if (commandOf(codeOf(hex(cmd))) === null) {
        unknown.add(codeOf(hex(cmd)));
        continue;
      }
      if (responseCodeOf(hex(rsp)) !== 0) {
        count.failures++;
        t.equal(failure(responseCodeOf(hex(rsp))).toString('hex'), rsp, what);
      }
      if (malformed.has(cmd)) {
        t.not(responseCodeOf(hex(rsp)), 0, what);
        continue;
      }
      const parsed = parseCommand(hex(cmd));
      const { command } = parsed;
      const passwords = parsed.entries?.filter(({ handle }) => handle === 0x40000009).length ?? 0;
      const least = parsed.entries?.length ?? 0;
      if (least < command.authorized || (passwords === least && least > command.authorized))
        t.fail(`${what}: ${least} authorizations`);
      // What is encrypted is no structure; test/attest/tpm2/session.test.ts decrypts it.
      const isEncrypted = has(parsed.entries, 'decrypt');
      const parameters = isEncrypted
        ? parsed.parameters
        : encode(command.parameters, decode(what, command.parameters, parsed.parameters));
      t.equal(buildCommand({ ...parsed, parameters }).toString('hex'), cmd, what);
      count[isEncrypted ? 'encrypted' : 'commands']++;
      if (responseCodeOf(hex(rsp)) !== 0) continue;
      const response = parseResponse(command, hex(rsp));
      const isEncryptedResponse = has(parsed.entries, 'encrypt');
      const result = isEncryptedResponse
        ? response.parameters
        : encode(command.result, decode(what, command.result, response.parameters));
      t.equal(buildResponse({ ...response, parameters: result }).toString('hex'), rsp, `response, ${what}`);
      count[isEncryptedResponse ? 'encryptedResponses' : 'responses']++;
    }
  t.comment(`exchanges: ${JSON.stringify(count)}`);
  t.same([...unknown], [0x1ff], 'codes that no command of the table has: one that no TPM has');
  t.same(count, { commands: 222, encrypted: 2, responses: 183, encryptedResponses: 8, failures: 38 });
});

t.test('the commands that make primaries', async (t) => {
  for (const { template, cmd, hierarchy, inPublic } of primaryRows()) {
    const parsed = parseCommand(hex(cmd));
    t.equal(parsed.command, objects.createPrimary, template);
    t.equal(parsed.handles[0], Number.parseInt(hierarchy, 16));
    const { parameters } = objects.createPrimary;
    const value = decode(template, parameters, parsed.parameters);
    t.same(encode(parameters, value), parsed.parameters);
    t.ok(parsed.parameters.includes(hex(inPublic)));
  }
});

t.test('what was recorded is refused at every length but its own', async (t) => {
  const seen = new Set<string>();
  for (const { cmd, rsp } of logs.flatMap(exchanges)) {
    const command = commandOf(codeOf(hex(cmd)));
    if (command === null || responseCodeOf(hex(rsp)) !== 0 || seen.has(command.name)) continue;
    const { entries } = parseCommand(hex(cmd));
    if (has(entries, 'encrypt')) continue;
    seen.add(command.name);
    const { parameters } = parseResponse(command, hex(rsp));
    for (let length = 0; length < parameters.length; length++)
      if (!isRefused(() => decode('it', command.result, parameters.subarray(0, length))))
        t.fail(`${command.name}: ${length} of ${parameters.length} bytes were taken`);
    t.ok(
      isRefused(() => decode('it', command.result, Buffer.concat([parameters, Buffer.of(0)]))),
      `${command.name}: a byte too many`,
    );
  }
});

function isRefused(read: () => unknown): boolean {
  try {
    read();
    return false;
  } catch (problem) {
    if (problem instanceof TpmFormatError) return true;
    throw problem;
  }
}
