/** A software TPM proves itself to the verifier: credential, quote, PCRs that grow, a power cut. */
import { randomBytes } from 'node:crypto';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { logDigests, qualifyingData } from '../../../daemon/attest/evidence/binding.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import {
  algorithm,
  encode,
  encodePublic,
  extendPcr,
  type LoadedObject,
  makeCredential,
  makePrimary,
  openCredential,
  type Public,
  quotePcrs,
  readPcrs,
  type Scope,
  signature,
  type Tpm,
} from '../../../daemon/attest/tpm2/index.ts';
import { akEccP256, akRsa2048, ekEccP256, srkEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import { judgeKeys } from '../../../daemon/attest/verifier/keys.ts';
import type { Case, Rules } from '../../../daemon/attest/verifier/types.ts';
import type { ClockState } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { endorsement, live, owner, policySession } from '../tpm2/live/live.ts';
import { allPcrs, fileRecord, referencesOf, refused, rulesOf } from './world.ts';

interface Proving {
  readonly template?: Public;
  readonly measured: Buffer | null;
  readonly previous: ClockState | null;
  /** Makes the attestation key elsewhere than in the endorsement hierarchy. */
  readonly isOwners?: boolean;
}

/** What a surface and a gateway do together. */
const prove = (
  tpm: Tpm,
  { template = akEccP256, measured, previous, isOwners = false }: Proving,
): Promise<Case> =>
  tpm.scope(async (scope) => {
    const ek = await makePrimary(scope, { hierarchy: endorsement, template: ekEccP256 });
    const ak = await makePrimary(scope, { hierarchy: isOwners ? owner : endorsement, template });
    const claims = {
      ekPublic: encodePublic(ek.publicArea),
      ekCertificate: null,
      ekChain: [],
      akPublic: encodePublic(ak.publicArea),
    };
    const judged = judgeKeys(claims, rules(ek));
    const secret = randomBytes(32);
    const credential = makeCredential(judged.ek!, Buffer.from(judged.akName!, 'hex'), secret);
    const logs = { firmware: null, ima: null, measured, systemd: null };
    const expected: Case['expected'] = {
      nonce: randomBytes(32),
      keySha256: randomBytes(32),
      channel: randomBytes(32),
      secret,
      bank: 'sha256',
      pcrs: allPcrs,
      sentLogs: logDigests({ ...logs, measured: measured && { from: logStart, bytes: measured } }),
    };
    const opened = await openedBy(scope, { ek, ak, credential });
    const selection = [{ hash: algorithm.sha256, pcrs: allPcrs }];
    const binding = { ...expected, secret: opened, logs: expected.sentLogs };
    const made = await quotePcrs(scope, {
      key: ak,
      qualifyingData: qualifyingData(binding),
      pcrs: selection,
    });
    const [bank] = await readPcrs(scope, selection);
    return {
      claims,
      expected,
      evidence: {
        secret: opened,
        attest: made.attest,
        signature: encode(signature, made.signature),
        pcrs: bank?.values ?? new Map(),
      },
      logs,
      previous,
      isIncremental: false,
    };
  });

async function openedBy(
  scope: Scope,
  {
    ek,
    ak,
    credential,
  }: { ek: LoadedObject; ak: LoadedObject; credential: ReturnType<typeof makeCredential> },
): Promise<Uint8Array> {
  const policy = await policySession(scope, [{ kind: 'secret', entity: endorsement }]);
  return await openCredential(scope, { object: ak, endorsementKey: ek, policy, credential });
}

const rules = (ek: Pick<LoadedObject, 'publicArea'>, changes: Partial<Rules> = {}): Rules =>
  rulesOf({
    approvedEkSha256: ekPublicSha256(ek.publicArea),
    assertedLevel: 1,
    requiredLevel: 1,
    references: referencesOf({ files: true, firmwareGap: 'not listed', ima: false }),
    ...changes,
  });

live(
  'a software TPM is trusted, goes on within its epoch, and after a power cut',
  async (t, { tpm, chip }) => {
    const approved = await tpm.scope((scope) =>
      makePrimary(scope, { hierarchy: endorsement, template: ekEccP256 }),
    );
    const measure = async (path: string, recnum: number) => {
      const { digests, bytes } = fileRecord(path, path, { pcr: 14, recnum, bank: 'sha256' });
      await extendPcr(tpm, 14, [{ hash: algorithm.sha256, digest: digests.get('sha256')! }]);
      return bytes;
    };
    const first = await measure('/opt/surfaced/main.js', 0);
    const one = await prove(tpm, { measured: first, previous: null });
    const trusted = verify(one, rules(approved));
    t.match(trusted, { isTrusted: true, level: 1, epoch: 'first', measured: { files: 1 } });

    const more = Buffer.concat([first, await measure('/etc/surfaced/device.yaml', 1)]);
    const two = await prove(tpm, { measured: more, previous: trusted.clock, template: akRsa2048 });
    const again = verify(two, rules(approved));
    t.match(again, { isTrusted: true, level: 1, epoch: 'same', measured: { files: 2 } });
    refused(
      t,
      verify({ ...one, previous: again.clock }, rules(approved)),
      'clock',
      /ms after/,
      'the first one again',
    );
    refused(
      t,
      verify({ ...two, expected: one.expected }, rules(approved)),
      'activation',
      /secret/,
      'of another exchange',
    );
    const old = await prove(tpm, { measured: first, previous: again.clock });
    refused(
      t,
      verify(old, rules(approved)),
      'measured-log',
      /PCR 14 is/,
      'what was measured cannot be taken back',
    );

    await tpm.close();
    await chip.cutPower();
    await chip.start();
    const three = await prove(tpm, { measured: null, previous: again.clock });
    refused(t, verify(three, rules(approved)), 'reference', /no files/, 'the PCRs are empty again');
    const anew = await measure('/opt/surfaced/main.js', 0);
    const four = await prove(tpm, { measured: anew, previous: again.clock });
    t.match(verify(four, rules(approved)), {
      isTrusted: true,
      level: 1,
      epoch: 'new',
      clock: { isSafe: false },
    });
    refused(t, verify({ ...four, isIncremental: true }, rules(approved)), 'clock', /the TPM was reset/);
    refused(
      t,
      verify({ ...two, previous: verify(four, rules(approved)).clock }, rules(approved)),
      'clock',
      /cleared/,
    );
  },
);

live('a key outside the endorsement hierarchy, and one of another kind', async (t, { tpm }) => {
  const approved = await tpm.scope((scope) =>
    makePrimary(scope, { hierarchy: endorsement, template: ekEccP256 }),
  );
  const owners = await prove(tpm, { measured: null, previous: null, isOwners: true });
  refused(t, verify(owners, rules(approved)), 'signer', /primary of the endorsement hierarchy/);
  const srk = await tpm.scope((scope) => makePrimary(scope, { hierarchy: owner, template: srkEccP256 }));
  refused(t, verify(owners, rules(srk)), 'ek-approved', /is not the key that was approved/);
});
