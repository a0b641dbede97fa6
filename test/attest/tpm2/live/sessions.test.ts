/** Sessions: what a TPM takes, and what can be seen on the wire meanwhile. */
import { createHash, randomBytes } from 'node:crypto';
import t from 'tap';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { hash } from '../../../../daemon/attest/tpm2/commands/attestation.ts';
import { getRandom } from '../../../../daemon/attest/tpm2/commands/general.ts';
import { hierarchyChangeAuth } from '../../../../daemon/attest/tpm2/commands/objects.ts';
import { makePrimary, permanent } from '../../../../daemon/attest/tpm2/keys.ts';
import { readNv, undefineNv, writeNv } from '../../../../daemon/attest/tpm2/memory.ts';
import { type Session, TpmSessionError } from '../../../../daemon/attest/tpm2/session.ts';
import { type SessionOptions, startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import type { Public } from '../../../../daemon/attest/tpm2/structures/public.ts';
import * as templates from '../../../../daemon/attest/tpm2/templates.ts';
import { type Scope, Tpm } from '../../../../daemon/attest/tpm2/tpm.ts';
import type { Transport } from '../../../../daemon/attest/tpm2/transport.ts';
import { swtpm } from '../../../../daemon/attest/tpm2/transports/swtpm.ts';
import { endorsement, leftIn, live, makeNv, nvArea, owner, refused } from './live.ts';
import { beginSoftwareTpm, withoutSwtpm } from './swtpm.ts';

/** Zeros within count, those at the end do not. */
const authValues: Readonly<Record<string, Buffer>> = {
  'a plain value': Buffer.from('correct horse'),
  'a value with zeros within': Buffer.from('0100020003', 'hex'),
  'a value with zeros at the end': Buffer.from('a1b2c30000', 'hex'),
};
const salts: Readonly<Record<string, Public | null>> = {
  'not salted': null,
  'salted to an RSA key': templates.ekRsa2048,
  'salted to an ECC key': templates.ekEccP256,
};

/** Runs work in a session of its own. */
async function within(
  scope: Scope,
  options: SessionOptions,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const session = await startSession(scope, options);
  await work(session);
  await scope.flush(session.handle);
}

for (const [salting, template] of Object.entries(salts))
  for (const isBound of [false, true])
    live(`authorizations, ${salting}, ${isBound ? 'bound' : 'not bound'}`, async (t, { tpm, wire }) => {
      const isKeyed = template !== null || isBound;
      for (const [what, authValue] of Object.entries(authValues))
        await tpm.scope(async (scope) => {
          const salt =
            template === null ? null : await makePrimary(scope, { hierarchy: endorsement, template });
          let index = await makeNv(scope, nvArea(), authValue);
          const bind = isBound ? index : null;
          const secret = randomBytes(32);
          const encrypts = isKeyed ? 'both' : 'nothing';
          await within(scope, { kind: 'hmac', salt, bind, encrypts }, async (authorization) => {
            index = await writeNv(scope, index, secret, { authorization });
            t.same(await readNv(scope, index, { authorization }), secret, `${what}: read back`);
            const mistaken = { ...index, authValue: Buffer.from('wrong') };
            const wrong = readNv(scope, mistaken, { authorization });
            await refused(t, wrong, 'BAD_AUTH', `${what}: not this one`);
            t.same(await readNv(scope, index, { authorization }), secret, `${what}: goes on after that`);
          });
          t.equal(wire.saw(secret), !isKeyed, `${what}: ${isKeyed ? 'encrypted' : 'clear'} on the wire`);
          t.same(await readNv(scope, index), secret, `${what}: as a password`);
          t.ok(wire.saw(secret), 'a password hides nothing');
          await undefineNv(scope, owner, index);
        });
    });

live('one direction, by a session beside the password', async (t, { tpm, wire }) => {
  await tpm.scope(async (scope) => {
    const salt = await makePrimary(scope, { hierarchy: endorsement, template: templates.ekEccP256 });
    const commands = await startSession(scope, { kind: 'hmac', salt, encrypts: 'commands' });
    const responses = await startSession(scope, { kind: 'hmac', salt, encrypts: 'responses' });
    const index = await makeNv(scope, nvArea(), Buffer.from('password'));
    const secret = randomBytes(32);
    const useless = writeNv(scope, index, secret, { sessions: [responses] });
    await refused(t, useless, 'ATTRIBUTES', 'a session that could encrypt nothing');
    wire.sent.length = 0;
    const written = await writeNv(scope, index, secret, { sessions: [commands] });
    t.notOk(wire.saw(secret), 'written');
    t.same(await readNv(scope, written, { sessions: [responses] }), secret);
    t.notOk(wire.saw(secret), 'read');
    await refused(t, readNv(scope, written, { sessions: [commands] }), 'ATTRIBUTES', 'nothing to encrypt');
  });
});

live('two sessions, one for each direction, in both orders', async (t, { tpm, wire }) => {
  await tpm.scope(async (scope) => {
    const salt = await makePrimary(scope, { hierarchy: endorsement, template: templates.ekEccP256 });
    const commands = await startSession(scope, { kind: 'hmac', salt, encrypts: 'commands' });
    const responses = await startSession(scope, { kind: 'hmac', salt, encrypts: 'responses' });
    const authorization = await startSession(scope, { kind: 'hmac' });
    for (const sessions of [
      [commands, responses],
      [responses, commands],
    ]) {
      const data = randomBytes(20);
      const parameters = { data, hashAlg: algorithm.sha256, hierarchy: owner.handle };
      const { outHash } = await scope.execute(hash, { handles: {}, parameters, sessions });
      t.same(outHash, createHash('sha256').update(data).digest());
      t.notOk(wire.saw(data));
      t.notOk(wire.saw(outHash), 'what the TPM made is not on the wire either');
    }
    const index = await makeNv(scope, nvArea(), Buffer.from('password'));
    const secret = randomBytes(32);
    const written = await writeNv(scope, index, secret, { authorization, sessions: [commands] });
    t.same(await readNv(scope, written, { authorization, sessions: [responses] }), secret);
    t.notOk(wire.saw(secret), 'a third one authorizes');
  });
});

live('other hashes', async (t, { tpm, wire }) => {
  await tpm.scope(async (scope) => {
    const salt = await makePrimary(scope, { hierarchy: endorsement, template: templates.ekEccP256 });
    let index = await makeNv(scope, nvArea(), Buffer.from('password'));
    for (const id of [algorithm.sha1, algorithm.sha384, algorithm.sha512])
      await within(
        scope,
        { kind: 'hmac', hash: id, salt, bind: index, encrypts: 'both' },
        async (session) => {
          const secret = randomBytes(32);
          index = await writeNv(scope, index, secret, { authorization: session });
          t.same(await readNv(scope, index, { authorization: session }), secret);
          t.notOk(wire.saw(secret), `0x${id.toString(16)}`);
        },
      );
  });
});

live('a session that ends with its command, and one too many', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    const session = await startSession(scope, { kind: 'hmac' });
    session.isKept = false;
    const index = await makeNv(scope, nvArea(), Buffer.from('password'));
    await writeNv(scope, index, randomBytes(4), { authorization: session });
    t.same(await leftIn(tpm), [], 'gone');
    for (let count = 0; count < 3; count++) await startSession(scope, { kind: 'hmac' });
    await refused(t, startSession(scope, { kind: 'hmac' }), 'SESSION_MEMORY', 'there is room for three');
  });
});

live('an authorization value changes in a session that it keys', async (t, { tpm, wire }) => {
  const first = Buffer.from('first value');
  const second = Buffer.from('second value');
  await tpm.scope(async (scope) => {
    const salt = await makePrimary(scope, { hierarchy: endorsement, template: templates.ekEccP256 });
    const session = await startSession(scope, { kind: 'hmac', salt, encrypts: 'commands' });
    const change = (from: Uint8Array, to: Uint8Array) =>
      scope.execute(hierarchyChangeAuth, {
        handles: { authHandle: permanent(owner.handle, from) },
        parameters: { newAuth: to },
        authorizations: [session],
        authValueAfter: to,
      });
    await change(Buffer.alloc(0), first);
    await change(first, second);
    await refused(t, change(first, first), 'BAD_AUTH', 'the old one');
    await change(second, Buffer.alloc(0));
    t.notOk(wire.saw(first));
    t.notOk(wire.saw(second));
  });
});

t.test(
  'a response that is changed on its way is not believed, and nothing stays',
  {
    skip: withoutSwtpm,
  },
  async (t) => {
    const chip = await beginSoftwareTpm();
    const inner = swtpm(chip.address);
    let isBending = false;
    const bending: Transport = {
      ...inner,
      name: 'bending',
      hasResourceManager: false,
      async exchange(command, mostMs) {
        const response = Buffer.from(await inner.exchange(command, mostMs));
        // A byte of the parameters: after the header and their size.
        if (isBending) response[20] = (response[20] ?? 0) ^ 1;
        return response;
      },
    };
    const tpm = new Tpm({ transport: bending });
    try {
      await tpm.scope(async (scope) => {
        const salt = await makePrimary(scope, { hierarchy: endorsement, template: templates.ekEccP256 });
        const session = await startSession(scope, { kind: 'hmac', salt, encrypts: 'responses' });
        isBending = true;
        await t.rejects(
          scope.execute(getRandom, {
            handles: {},
            parameters: { bytesRequested: 16 },
            sessions: [session],
          }),
          TpmSessionError,
        );
        isBending = false;
      });
      t.same(await leftIn(tpm), []);
      await t.rejects(
        tpm.scope(async (scope) => {
          isBending = true;
          await makePrimary(scope, { hierarchy: endorsement, template: templates.akEccP256 });
        }),
        'a key whose public area is another',
      );
      isBending = false;
      await tpm.scope(async () => {});
      t.same(await leftIn(tpm), []);
      await tpm.close();
    } finally {
      await inner.close();
      await chip.end();
    }
  },
);

live('encryption that would hide nothing is refused', async (t, { tpm, wire }) => {
  await t.rejects(
    tpm.scope((scope) => startSession(scope, { kind: 'hmac', encrypts: 'both' })),
    RangeError,
  );
  t.equal(wire.sent.length, 0);
});
