/** Credentials that are made in software and opened by the TPM. */
import { randomBytes } from 'node:crypto';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { makeCredential as makeInTpm } from '../../../../daemon/attest/tpm2/commands/attestation.ts';
import {
  type Credential,
  makeCredential,
  openCredential,
} from '../../../../daemon/attest/tpm2/credential.ts';
import { type LoadedObject, makePrimary } from '../../../../daemon/attest/tpm2/keys.ts';
import type { PolicyStep } from '../../../../daemon/attest/tpm2/policy.ts';
import type { EccPublic, Public } from '../../../../daemon/attest/tpm2/structures/public.ts';
import * as templates from '../../../../daemon/attest/tpm2/templates.ts';
import type { Scope } from '../../../../daemon/attest/tpm2/tpm.ts';
import { endorsement, live, makeAk, policySession, refused } from './live.ts';

const policyA: readonly PolicyStep[] = [{ kind: 'secret', entity: endorsement }];
const policyB: readonly PolicyStep[] = [
  ...policyA,
  { kind: 'or', digests: [templates.policyA, templates.policyC] },
];

const kinds: Readonly<Record<string, readonly [template: Public, steps: readonly PolicyStep[]]>> = {
  'RSA, low range': [templates.ekRsa2048, policyA],
  'ECC, low range': [templates.ekEccP256, policyA],
  'RSA, high range': [templates.ekRsa2048High, policyB],
  'ECC, high range': [templates.ekEccP256High, policyB],
};

for (const [name, [template, steps]] of Object.entries(kinds))
  live(`credentials for an endorsement key, ${name}`, async (t, { tpm }) => {
    await tpm.scope(async (scope) => {
      const endorsementKey = await makePrimary(scope, { hierarchy: endorsement, template });
      const object = await makeAk(scope);
      const open = (credential: Credential, of: LoadedObject = object) =>
        attempt(scope, { credential, object: of, endorsementKey, steps });
      for (const bytes of [1, 16, 32]) {
        const secret = randomBytes(bytes);
        const credential = makeCredential(endorsementKey.publicArea, object.name, secret);
        t.same(await open(credential), secret, `${bytes} bytes`);
      }
      const secret = randomBytes(32);
      const forAnother = Buffer.from(object.name);
      forAnother[10] = (forAnother[10] ?? 0) ^ 1;
      const stolen = makeCredential(endorsementKey.publicArea, forAnother, secret);
      await refused(t, open(stolen), 'INTEGRITY VALUE', 'for an object with another Name');

      const good = makeCredential(endorsementKey.publicArea, object.name, secret);
      const bent = Buffer.from(good.credentialBlob);
      bent[bent.length - 1] = (bent[bent.length - 1] ?? 0) ^ 1;
      await refused(t, open({ ...good, credentialBlob: bent }), 'INTEGRITY VALUE', 'a bit is another');

      const inTpm = await scope.execute(makeInTpm, {
        handles: { handle: endorsementKey },
        parameters: { credential: secret, objectName: object.name },
      });
      const made = { credentialBlob: Buffer.from(inTpm.credentialBlob), secret: Buffer.from(inTpm.secret) };
      t.same(await open(made), secret, 'one that the TPM made');
      const sessionless = policySession(scope, []).then(async (policy) => {
        try {
          await openCredential(scope, { object, endorsementKey, policy, credential: good });
        } finally {
          await scope.flush(policy.handle);
        }
      });
      await refused(t, sessionless, 'POLICY_FAIL', 'without the policy');
    });
  });

live('a credential for another endorsement key', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    const endorsementKey = await makePrimary(scope, {
      hierarchy: endorsement,
      template: templates.ekEccP256,
    });
    const object = await makeAk(scope);
    const other = await makePrimary(scope, { hierarchy: endorsement, template: templates.ekEccP256High });
    const credential = makeCredential(other.publicArea, object.name, randomBytes(32));
    const work = attempt(scope, { credential, object, endorsementKey, steps: policyA });
    await refused(t, work, 'INTEGRITY VALUE', 'of the same TPM');
    const bigger: EccPublic = { ...templates.ekEccP256, nameAlg: algorithm.sha384 };
    t.throws(() => makeCredential(bigger, object.name, randomBytes(49)), RangeError);
  });
});

/** Opens it with a session of its own, which does not stay: a TPM has room for three. */
async function attempt(
  scope: Scope,
  parts: {
    readonly credential: Credential;
    readonly object: LoadedObject;
    readonly endorsementKey: LoadedObject;
    readonly steps: readonly PolicyStep[];
  },
): Promise<Uint8Array> {
  const { steps, ...rest } = parts;
  const policy = await policySession(scope, steps);
  try {
    return await openCredential(scope, { ...rest, policy });
  } finally {
    await scope.flush(policy.handle);
  }
}
