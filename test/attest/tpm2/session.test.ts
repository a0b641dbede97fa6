import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import t, { type Test } from 'tap';
import { algorithm } from '../../../daemon/attest/tpm2/algorithms.ts';
import { decode, encode } from '../../../daemon/attest/tpm2/codec.ts';
import { activateCredential } from '../../../daemon/attest/tpm2/commands/attestation.ts';
import type { Command } from '../../../daemon/attest/tpm2/commands/definition.ts';
import { getRandom } from '../../../daemon/attest/tpm2/commands/general.ts';
import { nvWrite } from '../../../daemon/attest/tpm2/commands/nv.ts';
import { create, load, unseal } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { startAuthSession } from '../../../daemon/attest/tpm2/commands/policies.ts';
import { kdfa } from '../../../daemon/attest/tpm2/kdf.ts';
import { permanent } from '../../../daemon/attest/tpm2/keys.ts';
import { type Call, Message } from '../../../daemon/attest/tpm2/message.ts';
import {
  commandHash,
  type Entity,
  responseHash,
  Session,
  type SessionParts,
  TpmSessionError,
  withoutTrailingZeros,
} from '../../../daemon/attest/tpm2/session.ts';
import { parseCommand, parseResponse } from './reverse.ts';
import { type Exchange, exchanges, hex, noted, vector } from './vectors.ts';

const { sha256 } = algorithm;
const none = Buffer.alloc(0);
const e3 = exchanges('e3');
const unsealed = hex('65646765206170706c69616e63652063726564656e7469616c20736563726574');

/** Takes the nonces that were recorded instead of new ones. */
class Replayed extends Session {
  #next: Uint8Array | null = null;

  takes(nonce: Uint8Array): void {
    this.#next = nonce;
  }

  override roll(): void {
    if (this.#next === null) throw new Error('no nonce was recorded for this command');
    super.roll(this.#next);
    this.#next = null;
  }
}

/** The session that this exchange started. */
function started(
  { cmd, rsp }: Exchange,
  parts: Partial<Pick<SessionParts, 'kind' | 'salt' | 'bind'>>,
): Replayed {
  const { nonceCaller } = decode('it', startAuthSession.parameters, parseCommand(hex(cmd)).parameters);
  const { handle, parameters } = parseResponse(startAuthSession, hex(rsp));
  const { nonceTPM } = decode('it', startAuthSession.result, parameters);
  return new Replayed({
    handle: handle!,
    kind: 'hmac',
    hash: sha256,
    salt: none,
    bind: null,
    nonceCaller,
    nonceTPM,
    ...parts,
  });
}

/** Sends what was sent, byte for byte, and reads what was answered. */
function replay<HandleName extends string, Parameters, Result>(
  t: Test,
  command: Command<HandleName, Parameters, Result>,
  call: Call<HandleName, Parameters>,
  { cmd, rsp, note }: Exchange,
): Result | null {
  const { entries } = parseCommand(hex(cmd));
  for (const session of [...(call.authorizations ?? []), ...(call.sessions ?? [])])
    if (session instanceof Replayed)
      session.takes(entries!.find(({ handle }) => handle === session.handle)!.nonce);
  const message = new Message(command, call);
  t.equal(message.encode().toString('hex'), cmd, note ?? command.name);
  return rsp.length === 20 ? null : message.decode(hex(rsp)).result;
}

const srk: Entity = {
  handle: 0x80000000,
  name: hex('000b3aecbb2023b549a5659b1f29dca37478319232f01453581843c7d372b2635000'),
  authValue: none,
};
const sealed: Entity = {
  handle: 0x80000001,
  name: vector('e3', 'bound_session')('bindName'),
  authValue: Buffer.from('p\0w\0'),
};

t.test('authorization values count without trailing zeros', async (t) => {
  t.same(withoutTrailingZeros(Buffer.from('p\0w\0\0')), Buffer.from('p\0w'));
  t.same(withoutTrailingZeros(Buffer.alloc(3)), none);
  t.same(withoutTrailingZeros(none), none);
});

t.test('cpHash, rpHash and one HMAC', async (t) => {
  const values = vector('e3', 'getrandom_enc');
  const cpHash = commandHash(sha256, 0x17b, [], hex('0010'));
  t.equal(cpHash.toString('hex'), '3a936d6ea415e99156592175f59f848645d0b0c31d4878750e234d23dd5723fb');
  t.same(responseHash(sha256, 0x17b, parseResponse(getRandom, values('rsp')).parameters), values('rpHash'));
  const session = started(e3[10]!, { salt: vector('e3', 'salted_session')('salt') });
  session.takes(values('nonceCaller'));
  session.roll();
  const { nonce, hmac } = session.authorize(
    { cpHash, entity: null, otherNonces: [] },
    new Set(['continueSession', 'encrypt']),
  );
  t.same(nonce, values('nonceCaller'));
  t.equal(
    Buffer.from(hmac).toString('hex'),
    '5b2b948e2092d464a6bda074966c621e758df9ddc1847ec9f7c0a0aee20a030a',
  );
});

t.test('a salted session: six commands, the bytes that a TPM took and gave', async (t) => {
  const session = started(e3[10]!, { salt: vector('e3', 'salted_session')('salt') });
  session.encryptsResponses = true;
  const random = replay(
    t,
    getRandom,
    { handles: {}, parameters: { bytesRequested: 16 }, sessions: [session] },
    e3[11]!,
  );
  t.same(random?.randomBytes, vector('e3', 'getrandom_enc')('respParamsClear').subarray(2));

  session.encryptsCommands = true;
  const toCreate = vector('e3', 'create_enc');
  const parameters = decode('TPM2_Create', create.parameters, toCreate('paramsClear'));
  const authorized = { authorizations: [session] };
  const made = replay(t, create, { handles: { parentHandle: srk }, parameters, ...authorized }, e3[12]!);
  t.same(encode(create.result, made!), toCreate('respParamsClear'));

  session.encryptsCommands = false;
  session.encryptsResponses = false;
  const toLoad = { inPrivate: made!.outPrivate, inPublic: made!.outPublic };
  const loaded = replay(
    t,
    load,
    { handles: { parentHandle: srk }, parameters: toLoad, ...authorized },
    e3[13]!,
  );
  t.match(loaded, { handle: sealed.handle, name: sealed.name });

  session.encryptsResponses = true;
  const open = (authValue: Uint8Array, exchange: Exchange) =>
    replay(
      t,
      unseal,
      { handles: { itemHandle: { ...sealed, authValue } }, parameters: {}, ...authorized },
      exchange,
    );
  t.same(open(sealed.authValue, e3[14]!)?.outData, unsealed, 'a zero within counts');
  const nonceBefore = session.nonceTPM;
  t.equal(open(Buffer.from('p'), e3[15]!), null, 'cut off at it, the TPM refuses');
  t.same(session.nonceTPM, nonceBefore, 'a refused command leaves the nonce of the TPM as it was');
  t.same(open(Buffer.from('p\0w'), e3[16]!)?.outData, unsealed);
});

t.test('a bound session: to its entity and to another', async (t) => {
  const session = started(e3[18]!, { bind: sealed });
  session.encryptsResponses = true;
  const own = replay(
    t,
    unseal,
    { handles: { itemHandle: sealed }, parameters: {}, authorizations: [session] },
    e3[19]!,
  );
  t.same(own?.outData, unsealed);
  session.encryptsResponses = false;
  const other = e3[20]!;
  const parameters = decode('TPM2_Create', create.parameters, parseCommand(hex(other.cmd)).parameters);
  const call = { handles: { parentHandle: srk }, parameters, authorizations: [session] };
  t.ok(replay(t, create, call, other));
});

t.test('a bound session: bound no more once the authorization value is another', async (t) => {
  const session = started(e3[18]!, { bind: sealed });
  const command = (entity: Entity) => ({ cpHash: Buffer.alloc(32), entity, otherNonces: [] });
  const own = session.authorize(command(sealed), new Set()).hmac;
  t.same(session.authorize(command({ ...sealed, authValue: Buffer.from('p\0w') }), new Set()).hmac, own);
  t.notSame(session.authorize(command({ ...sealed, authValue: Buffer.from('new') }), new Set()).hmac, own);
  t.same(
    session.authorize(command({ ...srk, authValue: none }), new Set()).hmac,
    own,
    'another entity without one adds nothing',
  );
});

t.test('a session salted to the endorsement key', async (t) => {
  const values = vector('e3', 'ek_salted');
  const session = started(e3[24]!, { salt: values('salt') });
  session.encryptsResponses = true;
  const call = { handles: {}, parameters: { bytesRequested: 16 }, sessions: [session] };
  t.same(replay(t, getRandom, call, e3[25]!)?.randomBytes, values('respParamsClear').subarray(2));
});

t.test('a policy session that needs no authorization value: no HMAC', async (t) => {
  const e2 = exchanges('e2');
  const exchange = e2[12]!;
  const session = started(e2[8]!, { kind: 'policy' });
  const entity = (handle: number): Entity => ({ handle, name: none, authValue: none });
  const result = replay(
    t,
    activateCredential,
    {
      handles: { activateHandle: entity(0x80000001), keyHandle: entity(0x80000000) },
      parameters: decode('it', activateCredential.parameters, parseCommand(hex(exchange.cmd)).parameters),
      authorizations: [null, session],
    },
    exchange,
  );
  t.equal(
    Buffer.from(result!.certInfo).toString('hex'),
    'c0ffee00c0ffee01c0ffee02c0ffee03c0ffee04c0ffee05c0ffee06c0ffee07',
  );
});

t.test('a policy session with PolicyAuthValue: an HMAC, over the Name of the index as it was', async (t) => {
  const values = vector('e8', 'nv_write_policy_authvalue');
  const e8 = exchanges('e8');
  const written = noted('e8', 'correct board secret')[0]!;
  const session = started(e8[8]!, { kind: 'policy' });
  session.isAuthValueNeeded = true;
  session.isKept = false;
  t.same(session.nonceTPM, values('nonceTPM'));
  const index: Entity = {
    handle: 0x01800001,
    name: values('indexNameBefore'),
    authValue: values('authValue'),
  };
  const call = {
    handles: { authHandle: index, nvIndex: index },
    parameters: decode('it', nvWrite.parameters, parseCommand(hex(written.cmd)).parameters),
    authorizations: [session],
  };
  t.ok(replay(t, nvWrite, call, written));
  t.notOk(session.isAuthValueNeeded, 'a policy holds for one use');
  t.same(
    commandHash(sha256, 0x137, [index.name, index.name], parseCommand(hex(written.cmd)).parameters),
    values('cpHash'),
  );
});

t.test('two sessions: the first one covers the nonce of the one that encrypts', async (t) => {
  // Neither salt nor ephemeral key of the second was recorded, so the formula is checked here; message.test.ts holds
  // what is sent against the same formula.
  const { cmd } = e3[39]!;
  const { command, entries, parameters } = parseCommand(hex(cmd));
  const cpHash = commandHash(sha256, command.code, [srk.name], parameters);
  const [first, second] = [vector('e3', 'create_two_sessions.auth'), vector('e3', 'create_two_sessions.enc')];
  const [auth, enc] = [entries![0]!, entries![1]!];
  const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]) =>
    createHmac('sha256', key).update(Buffer.concat(parts)).digest();
  const nonceTpm = second('nonceTPM');
  t.same(hmac(none, cpHash, auth.nonce, first('nonceTPM'), nonceTpm, hex('01')), auth.hmac);
  t.same(hmac(second('sessionKey'), cpHash, enc.nonce, nonceTpm, hex('61')), enc.hmac);
  const made = kdfa({
    hash: sha256,
    key: second('sessionKey'),
    label: 'CFB',
    contextU: enc.nonce,
    contextV: nonceTpm,
    bits: 256,
  });
  const length = parameters.readUInt16BE(0);
  const cipher = createDecipheriv('aes-128-cfb', made.subarray(0, 16), made.subarray(16));
  const clear = Buffer.concat([
    parameters.subarray(0, 2),
    cipher.update(parameters.subarray(2, 2 + length)),
    parameters.subarray(2 + length),
  ]);
  t.ok(decode('it', create.parameters, clear));
});

t.test('a response is believed only with the right HMAC', async (t) => {
  const fresh = () => {
    const session = new Session({
      handle: 0x02000000,
      kind: 'hmac',
      hash: sha256,
      nonceCaller: Buffer.alloc(32, 1),
      nonceTPM: Buffer.alloc(32, 2),
      salt: Buffer.alloc(32, 3),
      bind: null,
    });
    return session;
  };
  const key = kdfa({
    hash: sha256,
    key: Buffer.alloc(32, 3),
    label: 'ATH',
    contextU: Buffer.alloc(32, 2),
    contextV: Buffer.alloc(32, 1),
    bits: 256,
  });
  const rpHash = responseHash(sha256, 0x17b, hex('0000'));
  const nonceTPM = Buffer.alloc(32, 4);
  const attributes = new Set(['continueSession'] as const);
  const right = createHmac('sha256', key)
    .update(rpHash)
    .update(nonceTPM)
    .update(Buffer.alloc(32, 1))
    .update(hex('01'))
    .digest();
  const answer = { rpHash, entity: null, authValueAfter: null, nonceTPM, attributes, hmac: right };
  const session = fresh();
  session.check(answer);
  t.same(session.nonceTPM, nonceTPM, 'and its nonce is taken up');
  const wrong = {
    'a short HMAC': { hmac: right.subarray(0, 31) },
    'no HMAC': { hmac: none },
    'another HMAC': { hmac: Buffer.alloc(32) },
    'another nonce': { nonceTPM: Buffer.alloc(32, 5) },
    'other attributes': { attributes: new Set(['continueSession', 'audit'] as const) },
    'another hash of the response': { rpHash: Buffer.alloc(32) },
    'an authorization value that nobody knew': { entity: { ...permanent(1), authValue: hex('01') } },
  };
  for (const [name, change] of Object.entries(wrong)) {
    const refusing = fresh();
    t.throws(() => refusing.check({ ...answer, ...change }), TpmSessionError, name);
    t.same(refusing.nonceTPM, Buffer.alloc(32, 2), 'its nonce is not taken up');
  }
});

t.test('a policy session without a key: an HMAC from nowhere is refused', async (t) => {
  const session = new Session({
    handle: 0x03000000,
    kind: 'policy',
    hash: sha256,
    nonceCaller: Buffer.alloc(16),
    nonceTPM: Buffer.alloc(16),
    salt: none,
    bind: null,
  });
  const answer = {
    rpHash: Buffer.alloc(32),
    entity: null,
    authValueAfter: null,
    nonceTPM: hex('aa'),
    attributes: new Set<never>(),
  };
  t.throws(() => session.check({ ...answer, hmac: hex('00') }), TpmSessionError);
  session.check({ ...answer, hmac: none });
  t.same(session.nonceTPM, hex('aa'));
});

t.test('each command gets a nonce of its own, as long as a digest', async (t) => {
  const nonces = new Set<string>();
  const session = started(e3[10]!, { salt: vector('e3', 'salted_session')('salt') });
  const command = { cpHash: Buffer.alloc(32), entity: null, otherNonces: [] };
  for (let i = 0; i < 20; i++) {
    Session.prototype.roll.call(session);
    const { nonce } = session.authorize(command, new Set());
    t.equal(nonce.length, 32);
    nonces.add(Buffer.from(nonce).toString('hex'));
  }
  t.equal(nonces.size, 20);
});

t.test('parameters: what one end encrypts the other decrypts', async (t) => {
  const make = () => started(e3[10]!, { salt: vector('e3', 'salted_session')('salt') });
  const session = make();
  const entity = { ...permanent(0x40000001), authValue: Buffer.from('owner\0') };
  const secret = Buffer.from('a parameter');
  const encrypted = session.encrypt(secret, entity);
  t.notSame(encrypted, secret);
  const values = vector('e3', 'salted_session');
  const key = kdfa({
    hash: sha256,
    key: Buffer.concat([values('sessionKey'), Buffer.from('owner')]),
    label: 'CFB',
    contextU: values('nonceCaller'),
    contextV: values('nonceTPM'),
    bits: 256,
  });
  const cipher = createCipheriv('aes-128-cfb', key.subarray(0, 16), key.subarray(16));
  t.same(cipher.update(secret), encrypted);
  t.notSame(make().encrypt(secret, null), encrypted, 'the authorization value counts');
});
