import { createPublicKey, verify } from 'node:crypto';
import t from 'tap';
import { algorithm, digest } from '../../../daemon/attest/tpm2/algorithms.ts';
import { decode } from '../../../daemon/attest/tpm2/codec.ts';
import { verifySignature } from '../../../daemon/attest/tpm2/commands/attestation.ts';
import { flushContext, loadExternal } from '../../../daemon/attest/tpm2/commands/objects.ts';
import {
  policyAuthorize,
  policyAuthValue,
  policyCommandCode,
  policyNv,
  policyOr,
  policyPcr,
  policySecret,
} from '../../../daemon/attest/tpm2/commands/policies.ts';
import type { AnyCommand } from '../../../daemon/attest/tpm2/commands/table.ts';
import { publicKeyOf } from '../../../daemon/attest/tpm2/crypto-keys.ts';
import { permanent } from '../../../daemon/attest/tpm2/keys.ts';
import { nameOfPublic } from '../../../daemon/attest/tpm2/names.ts';
import { approvalOf, type PolicyStep, policyDigest, satisfy } from '../../../daemon/attest/tpm2/policy.ts';
import { Session } from '../../../daemon/attest/tpm2/session.ts';
import { publicArea } from '../../../daemon/attest/tpm2/structures/public.ts';
import { policyA, policyB, policyC } from '../../../daemon/attest/tpm2/templates.ts';
import { Tpm } from '../../../daemon/attest/tpm2/tpm.ts';
import { parseCommand } from './reverse.ts';
import { ScriptedTpm } from './scripted-tpm.ts';
import { hex, vector } from './vectors.ts';

const { sha256 } = algorithm;
const none = Buffer.alloc(0);
const digestOf = (...steps: PolicyStep[]) => policyDigest(sha256, steps).toString('hex');
const zeroPcrs: PolicyStep = {
  kind: 'pcr',
  pcrs: [{ hash: sha256, pcrs: [7, 16] }],
  digest: digest(sha256, Buffer.alloc(64)),
};
const owner = permanent(0x40000001);
const endorsement = permanent(0x4000000b);

t.test('digests that a TPM came to as well', async (t) => {
  t.equal(digestOf(), '00'.repeat(32));
  t.equal(digestOf({ kind: 'secret', entity: endorsement }), policyA.toString('hex'));
  t.equal(digestOf({ kind: 'or', digests: [policyA, policyC] }), policyB.toString('hex'));
  t.equal(
    digestOf({ kind: 'authValue' }),
    '8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e',
  );
  t.equal(
    digestOf({ kind: 'commandCode', code: 0x15e }),
    'e613137076524bde487533865884e9732ebee3aacb095d94a6de492ec06c46fa',
  );
  t.equal(digestOf(zeroPcrs), '2aa20d10266e2597a0c0c14ae1d5db0ea93b4c20d76c66d032e4910413cb5fa8');
});

t.test('one of several: the steps before are forgotten', async (t) => {
  const digests = [
    hex('bff2d58e9813f97cefc14f72ad8133bc7092d652b7c877959254af140c841f36'),
    Buffer.alloc(32, 0x5a),
  ];
  const expected = 'ac8d28313d02a8d3367818c8e49a214631b408493693f63693ab32b793b42595';
  t.equal(digestOf({ kind: 'or', digests }), expected);
  t.equal(digestOf({ kind: 'authValue' }, { kind: 'or', digests }), expected);
  t.not(digestOf({ kind: 'or', digests: digests.toReversed() }), expected, 'their order counts');
});

t.test('whatever a key signs', async (t) => {
  const values = vector('e4', 'policy_authorize');
  const key = decode('it', publicArea, values('keyPub'));
  const policyRef = values('policyRef');
  const step: PolicyStep = { kind: 'authorize', key, policyRef, approval: null };
  t.same(nameOfPublic(key), values('keyName'));
  t.equal(digestOf(step), values('authPolicy').toString('hex'));
  t.equal(digestOf(zeroPcrs, step), values('authPolicy').toString('hex'), 'the steps before are forgotten');
  t.not(digestOf({ ...step, policyRef: none }), values('authPolicy').toString('hex'));
  const toSign = approvalOf(values('approvedPolicy'), policyRef);
  t.same(digest(sha256, toSign), values('aHash'));
  t.ok(verify('sha256', toSign, publicKeyOf(key), values('signature')), 'the signature that the TPM took');
  t.ok(createPublicKey(publicKeyOf(key).export({ type: 'spki', format: 'pem' })));
});

t.test('steps add up, in their order', async (t) => {
  const authValue: PolicyStep = { kind: 'authValue' };
  const unsealOnly: PolicyStep = { kind: 'commandCode', code: 0x15e };
  const expected = digest(sha256, digest(sha256, Buffer.alloc(32), hex('0000016b')), hex('0000016c0000015e'));
  t.equal(digestOf(authValue, unsealOnly), expected.toString('hex'));
  t.not(digestOf(unsealOnly, authValue), expected.toString('hex'));
});

t.test('what an NV index holds', async (t) => {
  const step: PolicyStep = {
    kind: 'nv',
    index: { handle: 0x01500001, name: hex('000bcc'), authValue: none },
    reader: owner,
    operand: hex('01'),
    offset: 2,
    operation: 3,
  };
  // Part 3, section 23.9: args = H(operandB || offset || operation); then H(old || PolicyNV || args || Name).
  const args = digest(sha256, hex('0100020003'));
  const expected = digest(sha256, Buffer.alloc(32), hex('00000149'), args, hex('000bcc'));
  t.equal(digestOf(step), expected.toString('hex'));
});

t.test('as long as the hash says', async (t) => {
  for (const [hash, size] of [
    [algorithm.sha1, 20],
    [algorithm.sha384, 48],
  ] as const) {
    t.equal(policyDigest(hash, []).length, size);
    const expected = digest(hash, Buffer.alloc(size), hex('0000016b'));
    t.same(policyDigest(hash, [{ kind: 'authValue' }]), expected);
  }
});

/** A policy session, and the TPM that it is satisfied in. */
function rig() {
  const transport = new ScriptedTpm();
  transport.answersAll([policyPcr, policyAuthValue, policyCommandCode, policyNv, policyOr, policyAuthorize]);
  transport.answersAll([policySecret], hex('0000' + '8023' + '40000007' + '0000'));
  transport.answersAll([verifySignature], hex('8022400000010000'));
  const session = new Session({
    handle: 0x03000000,
    kind: 'policy',
    hash: sha256,
    nonceCaller: Buffer.alloc(32),
    nonceTPM: Buffer.alloc(32, 5),
    salt: none,
    bind: null,
  });
  return { transport, session, tpm: new Tpm({ transport }) };
}

const sentTo = (transport: ScriptedTpm): readonly AnyCommand[] =>
  transport.sent.map((bytes) => parseCommand(bytes).command);

t.test('the same steps are taken in a session', async (t) => {
  const { transport, session, tpm } = rig();
  const index = { handle: 0x01500001, name: hex('000bcc'), authValue: none };
  await satisfy(tpm, session, [
    zeroPcrs,
    { kind: 'secret', entity: endorsement },
    { kind: 'commandCode', code: 0x15e },
    { kind: 'nv', index, reader: owner, operand: hex('01'), offset: 0, operation: 0 },
    { kind: 'or', digests: [policyA, policyC] },
  ]);
  t.equal(session.isAuthValueNeeded, false);
  await satisfy(tpm, session, [{ kind: 'authValue' }]);
  t.equal(session.isAuthValueNeeded, true, 'which the HMACs of the session cover from now on');
  t.same(sentTo(transport), [
    policyPcr,
    policySecret,
    policyCommandCode,
    policyNv,
    policyOr,
    policyAuthValue,
  ]);
  const pcr = decode('it', policyPcr.parameters, parseCommand(transport.sent[0]!).parameters);
  t.same(pcr.pcrDigest, digest(sha256, Buffer.alloc(64)), 'the values that are wanted, not those of now');
  const secret = decode('it', policySecret.parameters, parseCommand(transport.sent[1]!).parameters);
  t.same(secret.nonceTPM, session.nonceTPM);
});

t.test('a signed policy: the key is loaded, asked and flushed', async (t) => {
  const values = vector('e4', 'policy_authorize');
  const key = decode('it', publicArea, values('keyPub'));
  const step: PolicyStep = {
    kind: 'authorize',
    key,
    policyRef: values('policyRef'),
    approval: {
      policy: values('approvedPolicy'),
      signature: { algorithm: algorithm.rsassa, hash: sha256, signature: values('signature') },
    },
  };
  const { transport, session, tpm } = rig();
  transport.names = () => nameOfPublic(key);
  await satisfy(tpm, session, [step]);
  t.same(sentTo(transport), [loadExternal, verifySignature, flushContext, policyAuthorize]);
  t.equal(transport.loaded.size, 0);
  const checked = decode('it', verifySignature.parameters, parseCommand(transport.sent[1]!).parameters);
  t.same(checked.digest, values('aHash'));
  const shown = decode('it', policyAuthorize.parameters, parseCommand(transport.sent[3]!).parameters);
  t.same(shown.keySign, values('keyName'));
  t.match(shown.checkTicket, { tag: 0x8022, hierarchy: 0x40000001 });

  const refusing = rig();
  refusing.transport.names = () => nameOfPublic(key);
  refusing.transport.refuses(verifySignature, 0x2db);
  await t.rejects(satisfy(refusing.tpm, refusing.session, [step]), { message: /SIGNATURE \(parameter 2\)/ });
  t.equal(refusing.transport.loaded.size, 0, 'also when the signature is wrong');

  await t.rejects(satisfy(tpm, session, [{ ...step, approval: null }]), RangeError);
});
