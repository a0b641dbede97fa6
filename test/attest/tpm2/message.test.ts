import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { algorithm } from '../../../daemon/attest/tpm2/algorithms.ts';
import { decode, encode } from '../../../daemon/attest/tpm2/codec.ts';
import { hash } from '../../../daemon/attest/tpm2/commands/attestation.ts';
import { getCapability, getRandom, startup } from '../../../daemon/attest/tpm2/commands/general.ts';
import { nvReadPublic } from '../../../daemon/attest/tpm2/commands/nv.ts';
import {
  create,
  flushContext,
  hierarchyChangeAuth,
  load,
  unseal,
} from '../../../daemon/attest/tpm2/commands/objects.ts';
import { pcrReset } from '../../../daemon/attest/tpm2/commands/pcrs.ts';
import { policySecret } from '../../../daemon/attest/tpm2/commands/policies.ts';
import { permanent } from '../../../daemon/attest/tpm2/keys.ts';
import { Message } from '../../../daemon/attest/tpm2/message.ts';
import { commandHash, responseHash, Session, TpmSessionError } from '../../../daemon/attest/tpm2/session.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { Peer, plan } from './peer.ts';
import {
  attributeByte,
  buildResponse,
  type Entry,
  failure,
  parseCommand,
  parseResponse,
  passwordAnswer,
} from './reverse.ts';
import { hex, noted } from './vectors.ts';

const none = Buffer.alloc(0);
const endorsement = permanent(0x4000000b);
const emptySession = permanent(0x03000000);

t.test('commands as they are sent', async (t) => {
  const random = new Message(getRandom, { handles: {}, parameters: { bytesRequested: 8 } });
  t.equal(random.encode().toString('hex'), '80010000000c0000017b0008');
  const start = new Message(startup, { handles: {}, parameters: { startupType: 0 } });
  t.equal(start.encode().toString('hex'), '80010000000c000001440000');
  const banks = { capability: 5, property: 0, propertyCount: 1 };
  t.equal(
    new Message(getCapability, { handles: {}, parameters: banks }).encode().toString('hex'),
    '8001000000160000017a000000050000000000000001',
  );
  t.equal(
    new Message(nvReadPublic, { handles: { nvIndex: permanent(0x01c00002) }, parameters: {} })
      .encode()
      .toString('hex'),
    '80010000000e0000016901c00002',
  );
  t.equal(
    new Message(flushContext, { handles: {}, parameters: { flushHandle: 0x80000000 } })
      .encode()
      .toString('hex'),
    '80010000000e0000016580000000',
  );
  t.equal(
    new Message(pcrReset, { handles: { pcrHandle: permanent(16) }, parameters: {} }).encode().toString('hex'),
    '80020000001b0000013d0000001000000009400000090000000000',
  );
  const secret = new Message(policySecret, {
    handles: { authHandle: endorsement, policySession: emptySession },
    parameters: { nonceTPM: none, cpHashA: none, policyRef: none, expiration: 0 },
  });
  t.equal(
    secret.encode().toString('hex'),
    '800200000029000001514000000b030000000000000940000009000000000000000000000000000000',
  );
  t.same(secret.decode(hex('80020000001d000000000000000a000080234000000700000000010000')).result, {
    timeout: none,
    policyTicket: { tag: 0x8023, hierarchy: 0x40000007, digest: none },
  });
});

t.test('a password is sent as it is', async (t) => {
  const owner = permanent(0x40000001, Buffer.from('owner\0'));
  const message = new Message(pcrReset, { handles: { pcrHandle: owner }, parameters: {} });
  t.same(parseCommand(message.encode()).entries, [
    { handle: 0x40000009, nonce: none, attributes: new Set(), hmac: Buffer.from('owner\0') },
  ]);
});

t.test('mistakes of the caller', async (t) => {
  const call = { handles: {}, parameters: { bytesRequested: 8 } };
  const session = plainSession();
  t.throws(
    () => new Message(getRandom, { ...call, authorizations: [null] }),
    new RangeError('TPM2_GetRandom takes 0 authorizations'),
  );
  t.throws(
    () => new Message(getRandom, { ...call, sessions: [session, session, session, session] }),
    new RangeError('TPM2_GetRandom: more than 3 sessions'),
  );
  const large = { inPrivate: Buffer.alloc(4080), inPublic: sealedPublic() };
  t.throws(
    () => new Message(load, { handles: { parentHandle: endorsement }, parameters: large }).encode(),
    /^TPM2_Load: \d+ bytes are more than a TPM takes$/,
  );
});

t.test('responses that make no sense', async (t) => {
  const plain = new Message(getRandom, { handles: {}, parameters: { bytesRequested: 2 } });
  t.same(plain.decode(hex('80010000000e000000000002aabb')).result, { randomBytes: hex('aabb') });
  const refused = {
    'sessions that were not sent': '80020000001700000000000000040002aabb0000010000',
    'cut off': '80010000000d000000000002aa',
    'a byte too many': '80010000000f000000000002aabbcc',
    nothing: '80010000000a00000000',
  };
  for (const [name, bytes] of Object.entries(refused))
    t.throws(() => plain.decode(hex(bytes)), TpmFormatError, name);

  const reset = new Message(pcrReset, { handles: { pcrHandle: permanent(16) }, parameters: {} });
  t.same(reset.decode(hex('80020000001300000000000000000000010000')).result, {});
  t.throws(() => plain.decode(hex('80020000001700000000000000040002aabb0000010000')), /has sessions$/);
  t.throws(() => reset.decode(hex('80010000000a00000000')), /has no sessions$/);
  const refusedSessions = {
    'no sessions': '80010000000a00000000',
    'too few sessions': '80020000000e0000000000000000',
    'too many sessions': '800200000018000000000000000000000100000000010000',
    'a byte behind the sessions': '8002000000140000000000000000000001000000',
    'parameters beyond the response': '8002000000130000000000000fff0000010000',
    'parameters that the command has not': '800200000014000000000000000100' + '0000010000',
    'attributes that do not exist': '80020000001300000000000000000000190000',
  };
  for (const [name, bytes] of Object.entries(refusedSessions))
    t.throws(() => reset.decode(hex(bytes)), TpmFormatError, name);
});

function plainSession(): Session {
  const [nonceCaller, nonceTPM] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const salt = Buffer.alloc(32, 3);
  return new Session({
    handle: 0x02000000,
    kind: 'hmac',
    hash: algorithm.sha256,
    nonceCaller,
    nonceTPM,
    salt,
    bind: null,
  });
}

const created = noted('e3', 'sealed with PolicyPCR')[0]!;
const createParameters = decode('it', create.parameters, parseCommand(hex(created.cmd)).parameters);
const createResult = parseResponse(create, hex(created.rsp)).parameters;
const sealedPublic = () => createParameters.inPublic;

/** The first parameter of these, changed. */
function withFirst(parameters: Buffer, change: (first: Buffer) => Buffer): Buffer {
  const end = 2 + parameters.readUInt16BE(0);
  return Buffer.concat([
    parameters.subarray(0, 2),
    change(parameters.subarray(2, end)),
    parameters.subarray(end),
  ]);
}

t.test('sessions that authorize nothing cover no nonces but their own', async (t) => {
  const nothing = { kind: 'hmac', isBound: false, isAuthValueNeeded: false, isKept: true } as const;
  const parts = { ...nothing, salt: Buffer.alloc(32, 9) };
  const peers = [new Peer(parts, endorsement, 0), new Peer(parts, endorsement, 1)] as const;
  peers[0].session.encryptsCommands = true;
  peers[1].session.encryptsResponses = true;
  const message = new Message(hash, {
    handles: {},
    parameters: { data: Buffer.from('data'), hashAlg: algorithm.sha256, hierarchy: 0x40000001 },
    sessions: peers.map(({ session }) => session),
  });
  const { entries, parameters } = parseCommand(message.encode());
  const cpHash = commandHash(algorithm.sha256, hash.code, [], parameters);
  for (const [index, peer] of peers.entries()) {
    const { nonce, attributes, hmac } = entries![index]!;
    t.same(
      hmac,
      peer.hmac(false, cpHash, nonce, peer.nonceTPM, attributeByte(attributes)),
      `session ${index}`,
    );
  }
});

t.test('any sessions: both ends agree on HMACs and on what is encrypted', async () => {
  const scene = fc.record({
    authValue: fc.oneof(fc.constant('p\0w\0'), fc.constant(''), fc.string({ maxLength: 20 })),
    authorizing: fc.option(plan),
    others: fc.array(plan, { maxLength: 2 }),
    decrypts: fc.nat(3),
    encrypts: fc.nat(3),
  });
  fc.assert(
    fc.property(scene, ({ authValue, authorizing, others, decrypts, encrypts }) => {
      const parent = { handle: 0x80000000, name: hex('000baa'), authValue: Buffer.from(authValue) };
      const first = authorizing === null ? null : new Peer(authorizing, parent, 0);
      const peers = [first, ...others.map((other, index) => new Peer(other, parent, index + 1))];
      const decrypting = peers[decrypts]?.session;
      if (decrypting) decrypting.encryptsCommands = true;
      const encrypting = peers[encrypts]?.session;
      if (encrypting) encrypting.encryptsResponses = true;
      const message = new Message(create, {
        handles: { parentHandle: parent },
        parameters: createParameters,
        authorizations: [first?.session ?? null],
        sessions: peers.slice(1).flatMap((peer) => (peer === null ? [] : [peer.session])),
      });

      // The command, as the TPM sees it.
      const command = parseCommand(message.encode());
      const entries = command.entries ?? [];
      if (entries.length !== peers.length) return false;
      const cpHash = commandHash(algorithm.sha256, create.code, [parent.name], command.parameters);
      const nonces = [...new Set([decrypting, encrypting])]
        .filter((session) => session !== undefined && session !== first?.session)
        .map((session) => peers.find((peer) => peer?.session === session)!.nonceTPM);
      for (const [index, entry] of entries.entries()) {
        const peer = peers[index]!;
        if (peer === null) {
          if (!Buffer.from(entry.hmac).equals(parent.authValue) || entry.nonce.length > 0) return false;
          continue;
        }
        if (entry.attributes.has('decrypt') !== (peer.session === decrypting)) return false;
        if (entry.attributes.has('encrypt') !== (peer.session === encrypting)) return false;
        if (entry.attributes.has('continueSession') !== peer.session.isKept) return false;
        const extra = index === 0 ? nonces : [];
        const attributes = attributeByte(entry.attributes);
        const expected = peer.hmac(index === 0, cpHash, entry.nonce, peer.nonceTPM, ...extra, attributes);
        if (!expected.equals(entry.hmac)) return false;
      }
      const clear = withFirst(command.parameters, (data) => {
        const peer = peers[decrypts];
        if (peer == null) return data;
        const [key, iv] = peer.cipherKey(decrypts === 0, entries[decrypts]!.nonce, peer.nonceTPM);
        return createDecipheriv('aes-128-cfb', key, iv).update(data);
      });
      if (!clear.equals(encode(create.parameters, createParameters))) return false;

      // The response, as the TPM makes it.
      const nonceTPM = Buffer.alloc(32, 0x77);
      const parameters = withFirst(createResult, (data) => {
        const peer = peers[encrypts];
        if (peer == null) return data;
        const [key, iv] = peer.cipherKey(encrypts === 0, nonceTPM, entries[encrypts]!.nonce);
        return createCipheriv('aes-128-cfb', key, iv).update(data);
      });
      const rpHash = responseHash(algorithm.sha256, create.code, parameters);
      const answers = entries.map(({ attributes, nonce }, index): Entry => {
        const peer = peers[index]!;
        if (peer === null) return passwordAnswer;
        const hmac = peer.hmac(index === 0, rpHash, nonceTPM, nonce, attributeByte(attributes));
        return { handle: null, nonce: nonceTPM, attributes, hmac };
      });
      const { result, ended } = message.decode(buildResponse({ handle: null, entries: answers, parameters }));
      const sessions = peers.flatMap((peer) => (peer === null ? [] : [peer.session]));
      return (
        encode(create.result, result).equals(createResult) &&
        ended.length === sessions.filter(({ isKept }) => !isKept).length &&
        ended.every(({ isKept }) => !isKept) &&
        sessions.every((session) => nonceTPM.equals(session.nonceTPM))
      );
    }),
    { numRuns: 300 },
  );
});

/** A message whose response is protected, and that response. */
function protectedExchange() {
  const item = permanent(0x80000001, Buffer.from('pass'));
  const peer = new Peer(
    { kind: 'hmac', salt: Buffer.alloc(32, 9), isBound: false, isAuthValueNeeded: false, isKept: true },
    item,
    0,
  );
  peer.session.encryptsResponses = true;
  const call = { handles: { itemHandle: item }, parameters: {}, authorizations: [peer.session] };
  const message = new Message(unseal, call);
  const [entry] = parseCommand(message.encode()).entries!;
  const nonceTPM = Buffer.alloc(32, 0x77);
  const [key, iv] = peer.cipherKey(true, nonceTPM, entry!.nonce);
  const secret = Buffer.concat([hex('0006'), createCipheriv('aes-128-cfb', key, iv).update('secret')]);
  const respond = (parameters: Buffer) => {
    const rpHash = responseHash(algorithm.sha256, unseal.code, parameters);
    const hmac = peer.hmac(true, rpHash, nonceTPM, entry!.nonce, attributeByte(entry!.attributes));
    const answer = { handle: null, nonce: nonceTPM, attributes: entry!.attributes, hmac };
    return buildResponse({ handle: null, entries: [answer], parameters });
  };
  return { message, respond, response: respond(secret) };
}

t.test(
  'a command that changes an authorization value: the answer counts the new one, but not when bound',
  async (t) => {
    const lockout = permanent(0x4000000a, Buffer.from('old'));
    for (const isBound of [false, true]) {
      const peer = new Peer(
        { kind: 'hmac', salt: none, isBound, isAuthValueNeeded: false, isKept: true },
        lockout,
        0,
      );
      const message = new Message(hierarchyChangeAuth, {
        handles: { authHandle: lockout },
        parameters: { newAuth: Buffer.from('new') },
        authorizations: [peer.session],
        authValueAfter: Buffer.from('new'),
      });
      const { nonce, attributes } = parseCommand(message.encode()).entries![0]!;
      const nonceTPM = Buffer.alloc(32, 0x77);
      const rpHash = responseHash(algorithm.sha256, hierarchyChangeAuth.code, none);
      const parts = [rpHash, nonceTPM, nonce, attributeByte(attributes)];
      const hmac = isBound
        ? peer.hmac(true, ...parts)
        : createHmac('sha256', 'new').update(Buffer.concat(parts)).digest();
      const answer = { handle: null, nonce: nonceTPM, attributes, hmac };
      const response = buildResponse({ handle: null, entries: [answer], parameters: none });
      t.same(message.decode(response).result, {}, isBound ? 'bound' : 'not bound');
    }
  },
);

t.test('a response whose bits were changed on the way is never believed', async (t) => {
  const { message, response } = protectedExchange();
  t.same(message.decode(response).result, { outData: Buffer.from('secret') });
  for (let bit = 10 * 8; bit < response.length * 8; bit++) {
    const changed = protectedExchange();
    const bytes = Buffer.from(changed.response);
    bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
    try {
      changed.message.decode(bytes);
      t.fail(`bit ${bit} was changed and nobody saw it`);
    } catch (problem) {
      if (!(problem instanceof TpmSessionError || problem instanceof TpmFormatError)) throw problem;
    }
  }
});

t.test('an encrypted parameter that is longer than what came', async (t) => {
  for (const parameters of [hex(''), hex('00'), hex('0007aabb')]) {
    const { message, respond } = protectedExchange();
    t.throws(() => message.decode(respond(parameters)), TpmFormatError, parameters.toString('hex'));
    if (parameters.length > 2) t.throws(() => message.decode(respond(parameters)), /is cut off/);
  }
});

t.test('any bytes as a response: an answer or an error of the library', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 60 }).map((tail) => Buffer.concat([failure(0), tail])),
    fc.uint8Array({ maxLength: 60 }).map((tail) => Buffer.concat([hex('80020000000000000000'), tail])),
  );
  fc.assert(
    fc.property(bytes, (response) => {
      try {
        protectedExchange().message.decode(response);
        return false;
      } catch (problem) {
        return problem instanceof TpmSessionError || problem instanceof TpmFormatError;
      }
    }),
  );
});
