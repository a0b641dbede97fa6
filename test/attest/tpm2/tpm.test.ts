import t from 'tap';
import { getRandom, readClock } from '../../../daemon/attest/tpm2/commands/general.ts';
import { createPrimary } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { permanent } from '../../../daemon/attest/tpm2/keys.ts';
import { Session } from '../../../daemon/attest/tpm2/session.ts';
import { akEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import { Tpm } from '../../../daemon/attest/tpm2/tpm.ts';
import { TpmTransportError } from '../../../daemon/attest/tpm2/transport.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { held, random, resized, start } from './loading.ts';
import { failure, parseCommand } from './reverse.ts';
import { ScriptedTpm } from './scripted-tpm.ts';
import { hex } from './vectors.ts';

const none = Buffer.alloc(0);

t.test('one command at a time, in the order in which they were asked for', async (t) => {
  const transport = new ScriptedTpm();
  transport.before = () => new Promise((resolve) => setImmediate(resolve));
  const tpm = start(transport);
  const sizes = [1, 2, 3, 4, 5];
  await Promise.all(sizes.map((size) => random(tpm, size)));
  t.same(
    transport.sent.map((bytes) => parseCommand(bytes).parameters.readUInt16BE(0)),
    sizes,
  );
  t.same(transport.allowedMs, [120_000, 120_000, 120_000, 120_000, 120_000]);
});

t.test('one that fails does not keep the next ones waiting', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  transport.script.push(
    () => failure(0x101),
    () => Promise.reject(new TpmTransportError('gone')),
  );
  const [first, second, third] = await Promise.allSettled([random(tpm), random(tpm), random(tpm)]);
  t.match(first, { status: 'rejected', reason: { name: 'TpmError', code: 0x101 } });
  t.match(second, { status: 'rejected', reason: { message: 'gone' } });
  t.match(third, { status: 'fulfilled' });
});

t.test('keys may take longer than other commands', async (t) => {
  const transport = new ScriptedTpm();
  const making = start(transport).execute(createPrimary, {
    handles: { primaryHandle: permanent(0x40000001) },
    parameters: {
      inSensitive: { userAuth: none, data: none },
      inPublic: akEccP256,
      outsideInfo: none,
      creationPCR: [],
    },
  });
  await t.rejects(making, { code: 0x143 });
  t.same(transport.allowedMs, [300_000]);
});

const hmacSession = () =>
  new Session({
    handle: 0x02000000,
    kind: 'hmac',
    hash: 0x0b,
    nonceCaller: Buffer.alloc(32),
    nonceTPM: Buffer.alloc(32),
    salt: Buffer.alloc(32, 1),
    bind: null,
  });

t.test('a TPM that says "again" gets the very same bytes again', async (t) => {
  for (const code of [0x922, 0x908, 0x90a, 0x920, 0x923]) {
    const transport = new ScriptedTpm();
    transport.script.push(...Array.from({ length: 3 }, () => () => failure(code)), () => failure(0x101));
    const tpm = start(transport);
    // The nonce of a session must not be rolled for a repetition.
    const call = { handles: {}, parameters: { bytesRequested: 2 }, sessions: [hmacSession()] };
    await t.rejects(tpm.execute(getRandom, call), { code: 0x101 }, code.toString(16));
    t.equal(transport.sent.length, 4);
    t.equal(new Set(transport.sent.map((bytes) => bytes.toString('hex'))).size, 1);
  }
});

t.test('patience has an end', async (t) => {
  const transport = new ScriptedTpm();
  transport.answersAll([getRandom], hex('0002aabb'));
  for (const [totalMs, expected] of [
    [0, 1],
    [1, 2],
    [2, 2],
    [3, 3],
    [7, 5],
  ] as const) {
    transport.sent.length = 0;
    transport.refuses(getRandom, 0x922);
    const tpm = new Tpm({ transport, patience: { firstMs: 1, longestMs: 2, totalMs } });
    // Pauses of 1, 2, 2, 2 ... milliseconds.
    await t.rejects(random(tpm), { code: 0x922 }, `${totalMs} ms`);
    t.equal(transport.sent.length, expected);
  }
});

t.test('pauses of nothing are none: a TPM that says "again" for ever would be asked for ever', async (t) => {
  const transport = new ScriptedTpm();
  transport.refuses(getRandom, 0x922);
  const tpm = new Tpm({ transport, patience: { firstMs: 0, longestMs: 1, totalMs: 3 } });
  await t.rejects(random(tpm), { code: 0x922 });
  t.equal(transport.sent.length, 4);
});

t.test('codes that are final are not tried again', async (t) => {
  for (const code of [0x101, 0x921, 0x98e, 0x909, 0x902, 0x000b0143]) {
    const transport = new ScriptedTpm();
    transport.refuses(getRandom, code);
    await t.rejects(random(start(transport)), { code });
    t.equal(transport.sent.length, 1, code.toString(16));
  }
});

t.test('responses that are none', async (t) => {
  const refused: Readonly<
    Record<string, readonly [Buffer, typeof TpmFormatError | typeof TpmTransportError]>
  > = {
    nothing: [none, TpmTransportError],
    'too short for a header': [hex('800100000009000000'), TpmTransportError],
    'too long for a TPM': [resized(Buffer.concat([failure(0), Buffer.alloc(4087)])), TpmTransportError],
    'another size than it says': [hex('80010000000f000000000002aabb'), TpmTransportError],
    'cut off': [hex('80010000000e000000000002aa'), TpmTransportError],
    'cut off, but with the right size': [hex('80010000000d000000000002aa'), TpmFormatError],
    'a tag that does not exist': [hex('80030000000e000000000002aabb'), TpmFormatError],
    'a tag of TPM 1.2': [hex('00c40000000a0000001e'), TpmFormatError],
    'an error with a body': [hex('80010000000e000001010002aabb'), TpmFormatError],
    'an error with sessions': [hex('80020000000a00000101'), TpmFormatError],
    'sessions that nobody sent': [
      hex('8002000000170000000000000004' + '0002aabb' + '0000000000'),
      TpmFormatError,
    ],
  };
  for (const [name, [response, type]] of Object.entries(refused)) {
    const transport = new ScriptedTpm();
    transport.script.push(() => response);
    await t.rejects(random(start(transport)), type, name);
    t.equal(transport.sent.length, 1);
  }
});

t.test('close waits for what was asked for', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  const { reached, release } = held(transport, getRandom.code);
  const answer = random(tpm);
  const closing = tpm.close();
  await reached;
  t.equal(transport.closed, 0);
  release();
  t.ok(await answer);
  await closing;
  t.equal(transport.closed, 1);
  t.equal(tpm.name, 'scripted');
});

t.test('an error names command, code and handle', async (t) => {
  const transport = new ScriptedTpm();
  transport.refuses(readClock, 0x18b);
  const asking = start(transport).execute(readClock, { handles: {}, parameters: {} });
  await t.rejects(asking, { command: 'TPM2_ReadClock', code: 0x18b, decoded: { name: 'TPM_RC_HANDLE' } });
});
