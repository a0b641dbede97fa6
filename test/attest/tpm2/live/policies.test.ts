/** Policies: the digest that is computed is the TPM's, what holds opens, what does not refuses. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Test } from 'tap';
import { algorithm, curve } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { nvType } from '../../../../daemon/attest/tpm2/attributes.ts';
import { nvRead } from '../../../../daemon/attest/tpm2/commands/nv.ts';
import { unseal } from '../../../../daemon/attest/tpm2/commands/objects.ts';
import { comparison } from '../../../../daemon/attest/tpm2/commands/policies.ts';
import { permanent } from '../../../../daemon/attest/tpm2/keys.ts';
import { incrementNv, readNv, writeNv } from '../../../../daemon/attest/tpm2/memory.ts';
import {
  approvalOf,
  type PolicyStep,
  policyDigest,
  satisfy,
  sessionDigest,
} from '../../../../daemon/attest/tpm2/policy.ts';
import { extendPcr, pcrDigest, readPcrs } from '../../../../daemon/attest/tpm2/registers.ts';
import { type SealedData, sealData, unsealData } from '../../../../daemon/attest/tpm2/sealing.ts';
import type { Session } from '../../../../daemon/attest/tpm2/session.ts';
import { startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import type { EccPublic, RsaPublic } from '../../../../daemon/attest/tpm2/structures/public.ts';
import type { Signature } from '../../../../daemon/attest/tpm2/structures/signature.ts';
import type { Executor, Tpm } from '../../../../daemon/attest/tpm2/tpm.ts';
import { live, makeNv, makeSrk, nvArea, owner, policySession, refused } from './live.ts';

const secret = Buffer.from('what only the policy opens');
const password = Buffer.from('what somebody knows');
const pcrs = [{ hash: algorithm.sha256, pcrs: [7, 16] }];

async function pcrStep(executor: Executor): Promise<PolicyStep> {
  const digest = pcrDigest(algorithm.sha256, pcrs, await readPcrs(executor, pcrs));
  return { kind: 'pcr', pcrs, digest };
}

const seal = (tpm: Tpm, steps: readonly PolicyStep[]): Promise<SealedData> =>
  tpm.scope(async (scope) =>
    sealData(scope, {
      parent: await makeSrk(scope),
      secret,
      policy: policyDigest(algorithm.sha256, steps),
      authValue: password,
      sessions: [],
    }),
  );

/** Opens it with these steps; `before` runs when they were taken and the data is not yet opened. */
const open = (
  tpm: Tpm,
  data: SealedData,
  steps: readonly PolicyStep[],
  before: () => Promise<void> = async () => {},
  authValue: Uint8Array = password,
): Promise<Uint8Array> =>
  tpm.scope(async (scope) => {
    const authorization = await policySession(scope, steps);
    await before();
    return unsealData(scope, { parent: await makeSrk(scope), data, authValue, authorization, sessions: [] });
  });

/** That the steps open what was sealed with their digest, and that the TPM comes to the same digest. */
async function opens(t: Test, tpm: Tpm, steps: readonly PolicyStep[]): Promise<SealedData> {
  await tpm.scope(async (scope) => {
    const session = await policySession(scope, steps);
    t.same(await sessionDigest(scope, session), policyDigest(algorithm.sha256, steps), 'digest');
  });
  const data = await seal(tpm, steps);
  t.same(await open(tpm, data, steps), secret, 'opened');
  await refused(t, open(tpm, data, []), 'POLICY_FAIL', 'no steps');
  const byPassword = tpm.scope(async (scope) =>
    unsealData(scope, {
      parent: await makeSrk(scope),
      data,
      authValue: password,
      authorization: null,
      sessions: [],
    }),
  );
  await refused(t, byPassword, 'AUTH_UNAVAILABLE', 'the password instead');
  return data;
}

live('PCRs', async (t, { tpm }) => {
  const step = await pcrStep(tpm);
  const data = await opens(t, tpm, [step]);
  const event = { hash: algorithm.sha256, digest: Buffer.alloc(32, 7) };
  const changed = open(tpm, data, [step], () => extendPcr(tpm, 7, [event]));
  await refused(t, changed, 'PCR_CHANGED', 'changed between policy and use');
  await refused(t, open(tpm, data, [step]), 'VALUE', 'other values');
  await refused(t, open(tpm, data, [await pcrStep(tpm)]), 'POLICY_FAIL', 'the policy of the new values');
});

live('a secret of another entity', async (t, { tpm }) => {
  const entity = await makeNv(tpm, nvArea(), password);
  const data = await opens(t, tpm, [{ kind: 'secret', entity }]);
  const wrong = open(tpm, data, [{ kind: 'secret', entity: { ...entity, authValue: Buffer.from('no') } }]);
  await refused(t, wrong, 'BAD_AUTH', 'not its authorization value');
  await refused(t, open(tpm, data, [{ kind: 'secret', entity: owner }]), 'POLICY_FAIL', 'of another');
  await tpm.scope(async (scope) => {
    const authorization = await startSession(scope, { kind: 'hmac' });
    const session = await policySession(scope, [{ kind: 'secret', entity, authorization }]);
    const digest = policyDigest(algorithm.sha256, [{ kind: 'secret', entity }]);
    t.same(await sessionDigest(scope, session), digest, 'shown in a session, not as a password');
  });
});

live('the authorization value of the object, which is not sent', async (t, { tpm, wire }) => {
  const steps: readonly PolicyStep[] = [{ kind: 'authValue' }];
  const data = await opens(t, tpm, steps);
  wire.sent.length = 0;
  t.same(await open(tpm, data, steps), secret);
  t.notOk(wire.saw(password));
  const wrong = open(tpm, data, steps, undefined, Buffer.from('not this'));
  await refused(t, wrong, 'BAD_AUTH AUTH_FAIL', 'a wrong one');
});

live('a session is used again, for a policy that does not ask for the value', async (t, { tpm }) => {
  const first: readonly PolicyStep[] = [{ kind: 'authValue' }];
  const then: readonly PolicyStep[] = [{ kind: 'commandCode', code: unseal.code }];
  const [one, two] = [await seal(tpm, first), await seal(tpm, then)];
  await tpm.scope(async (scope) => {
    const parent = await makeSrk(scope);
    const authorization = await startSession(scope, { kind: 'policy' });
    const use = async (data: SealedData, steps: readonly PolicyStep[]) => {
      await satisfy(scope, authorization, steps);
      return unsealData(scope, { parent, data, authValue: password, authorization, sessions: [] });
    };
    t.same(await use(one, first), secret);
    t.same(await sessionDigest(scope, authorization), Buffer.alloc(32), 'nothing is left of the first use');
    t.same(await use(two, then), secret);
    t.same(await use(one, first), secret);
  });
});

live('one command', async (t, { tpm }) => {
  await opens(t, tpm, [{ kind: 'commandCode', code: unseal.code }]);
  const other: readonly PolicyStep[] = [{ kind: 'commandCode', code: nvRead.code }];
  await refused(t, open(tpm, await seal(tpm, other), other), 'POLICY_CC', 'another command');
});

live('one of several', async (t, { tpm }) => {
  const branches: readonly (readonly PolicyStep[])[] = [
    [await pcrStep(tpm)],
    [{ kind: 'authValue' }, { kind: 'commandCode', code: unseal.code }],
  ];
  const or: PolicyStep = {
    kind: 'or',
    digests: branches.map((branch) => policyDigest(algorithm.sha256, branch)),
  };
  for (const branch of branches) await opens(t, tpm, [...branch, or]);
  const data = await seal(tpm, [...(branches[0] ?? []), or]);
  t.same(await open(tpm, data, [...(branches[1] ?? []), or]), secret, 'sealed by one, opened by the other');
  const none: readonly PolicyStep[] = [{ kind: 'authValue' }, or];
  await refused(t, open(tpm, data, none), 'VALUE', 'none of them');
});

live('what an NV index holds', async (t, { tpm }) => {
  const area = nvArea({
    attributes: { type: nvType.counter, set: new Set(['authWrite', 'authRead', 'noDA']) },
    dataSize: 8,
  });
  const index = await incrementNv(tpm, await makeNv(tpm, area, Buffer.alloc(0)));
  const operand = await readNv(tpm, index);
  const step = (operation: number): PolicyStep => ({
    kind: 'nv',
    index,
    reader: index,
    operand,
    offset: 0,
    operation,
  });
  const data = await opens(t, tpm, [step(comparison.equal)]);
  await refused(t, open(tpm, data, [step(comparison.notEqual)]), 'POLICY', 'another comparison');
  await incrementNv(tpm, index);
  await refused(t, open(tpm, data, [step(comparison.equal)]), 'POLICY', 'counted on');
  await opens(t, tpm, [step(comparison.unsignedGreater)]);
});

const common = {
  nameAlg: algorithm.sha256,
  attributes: new Set(['sign', 'userWithAuth'] as const),
  authPolicy: Buffer.alloc(0),
  symmetric: null,
};
const fromJwk = (value: string | undefined) => Buffer.from(value ?? '', 'base64url');

function eccSigner() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const area: EccPublic = {
    ...common,
    type: algorithm.ecc,
    scheme: { algorithm: algorithm.ecdsa, hash: algorithm.sha256 },
    curve: curve.p256,
    kdf: null,
    x: fromJwk(x),
    y: fromJwk(y),
  };
  const approve = (bytes: Uint8Array, key: KeyObject = privateKey): Signature => {
    const both = sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });
    return {
      algorithm: algorithm.ecdsa,
      hash: algorithm.sha256,
      r: both.subarray(0, 32),
      s: both.subarray(32),
    };
  };
  return { area, approve };
}

function rsaSigner() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const area: RsaPublic = {
    ...common,
    type: algorithm.rsa,
    scheme: { algorithm: algorithm.rsassa, hash: algorithm.sha256 },
    keyBits: 2048,
    exponent: 0,
    modulus: fromJwk(publicKey.export({ format: 'jwk' }).n),
  };
  const approve = (bytes: Uint8Array): Signature => ({
    algorithm: algorithm.rsassa,
    hash: algorithm.sha256,
    signature: sign('sha256', bytes, privateKey),
  });
  return { area, approve };
}

for (const [name, signer] of Object.entries({ ECC: eccSigner, RSA: rsaSigner }))
  live(`whatever the holder of a key has approved, ${name}`, async (t, { tpm }) => {
    const { area: key, approve } = signer();
    const policyRef = Buffer.from('wifi');
    const authorize = (steps: readonly PolicyStep[], ref: Uint8Array = policyRef): PolicyStep => {
      const policy = policyDigest(algorithm.sha256, steps);
      const signature = approve(approvalOf(policy, ref));
      return { kind: 'authorize', key, policyRef, approval: { policy, signature } };
    };
    const first = await pcrStep(tpm);
    const data = await opens(t, tpm, [first, authorize([first])]);
    await extendPcr(tpm, 7, [{ hash: algorithm.sha256, digest: createHash('sha256').digest() }]);
    await refused(t, open(tpm, data, [first, authorize([first])]), 'VALUE', 'the old PCRs');
    const second = await pcrStep(tpm);
    t.same(await open(tpm, data, [second, authorize([second])]), secret, 'an update that was approved');
    await refused(t, open(tpm, data, [second, authorize([first])]), 'VALUE', 'an approval of others');
    const forOther = open(tpm, data, [second, authorize([second], Buffer.from('pin'))]);
    await refused(t, forOther, 'SIGNATURE', 'an approval for another purpose');
    const stranger = eccSigner();
    const policy = policyDigest(algorithm.sha256, [second]);
    const strange: PolicyStep = {
      kind: 'authorize',
      key: stranger.area,
      policyRef,
      approval: { policy, signature: stranger.approve(approvalOf(policy, policyRef)) },
    };
    await refused(t, open(tpm, data, [second, strange]), 'POLICY_FAIL', 'an approval by another key');
    const unapproved: PolicyStep = { kind: 'authorize', key, policyRef, approval: null };
    await t.rejects(open(tpm, data, [second, unapproved]), RangeError);
  });

live('an index that only a policy reads', async (t, { tpm }) => {
  const steps = [await pcrStep(tpm)];
  const area = nvArea({
    attributes: { type: nvType.ordinary, set: new Set(['ownerWrite', 'policyRead', 'noDA']) },
    authPolicy: policyDigest(algorithm.sha256, steps),
    dataSize: 8,
  });

  const index = await writeNv(tpm, await makeNv(tpm, area, password), Buffer.from('12345678'), { by: owner });
  await tpm.scope(async (scope) => {
    const read = async (authorization: Session | null) => readNv(scope, index, { authorization });
    t.same(await read(await policySession(scope, steps)), Buffer.from('12345678'));
    await refused(t, read(null), 'AUTH_UNAVAILABLE NV_AUTHORIZATION', 'the password instead');
    const others = await policySession(scope, [{ kind: 'secret', entity: permanent(owner.handle) }]);
    await refused(t, read(others), 'POLICY_FAIL', 'another policy');
  });
});
