/** What the TPM signs: that the signature is right, and what it says. */
import { createHash, randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { algorithm } from '../../../../daemon/attest/tpm2/algorithms.ts';
import { decode } from '../../../../daemon/attest/tpm2/codec.ts';
import { readClock } from '../../../../daemon/attest/tpm2/commands/general.ts';
import { create } from '../../../../daemon/attest/tpm2/commands/objects.ts';
import { pcrEvent, pcrReset } from '../../../../daemon/attest/tpm2/commands/pcrs.ts';
import { handle } from '../../../../daemon/attest/tpm2/handles.ts';
import {
  type LoadedObject,
  loadObject,
  makePrimary,
  permanent,
} from '../../../../daemon/attest/tpm2/keys.ts';
import { certifyNv, nvIndexAt } from '../../../../daemon/attest/tpm2/memory.ts';
import { nameOfHandle, qualifiedName } from '../../../../daemon/attest/tpm2/names.ts';
import { extended, extendPcr, pcrDigest, readPcrs } from '../../../../daemon/attest/tpm2/registers.ts';
import {
  type Attestation,
  attestTime,
  certifyCreationOf,
  certifyObject,
  isSignedBy,
  quotePcrs,
  signDigest,
} from '../../../../daemon/attest/tpm2/signing.ts';
import { pcrBanks } from '../../../../daemon/attest/tpm2/status.ts';
import { type Attested, attest, attestType } from '../../../../daemon/attest/tpm2/structures/attest.ts';
import type { PcrSelection } from '../../../../daemon/attest/tpm2/structures/pcr.ts';
import type { EccPublic } from '../../../../daemon/attest/tpm2/structures/public.ts';
import { akEccP256, akRsa2048, srkEccP256 } from '../../../../daemon/attest/tpm2/templates.ts';
import { endorsement, live, makeAk, makeSrk, refused } from './live.ts';

const nonce = randomBytes(32);
const upTo = (last: number) => Array.from({ length: last + 1 }, (_, index) => index);

/** The attested part, once the rest was found right: signature, signer, nonce. */
function checked<Type extends Attested['type']>(
  t: Test,
  key: LoadedObject,
  type: Type,
  attestation: Attestation,
) {
  t.ok(isSignedBy(key.publicArea, attestation.attest, attestation.signature), 'signed by the key');
  const changed = Buffer.from(attestation.attest);
  changed[20] = (changed[20] ?? 0) ^ 1;
  t.notOk(isSignedBy(key.publicArea, changed, attestation.signature), 'these bytes and no others');
  const { attested, extraData, qualifiedSigner } = decode('attestation', attest, attestation.attest);
  t.same(extraData, nonce, 'nonce');
  t.same(qualifiedSigner, qualifiedName(nameOfHandle(handle.endorsement), key.name), 'signer');
  if (attested.type !== type) throw new Error(`type ${attested.type}`);
  return attested as Extract<Attested, { type: Type }>;
}

for (const [name, template] of Object.entries({ ECDSA: akEccP256, RSASSA: akRsa2048 }))
  live(`quotes by an attestation key, ${name}`, async (t, { tpm }) => {
    const event = createHash('sha256').update('an application').digest();
    await extendPcr(tpm, 11, [{ hash: algorithm.sha256, digest: event }]);
    const selections: readonly (readonly PcrSelection[])[] = [
      [{ hash: algorithm.sha256, pcrs: [0] }],
      [{ hash: algorithm.sha256, pcrs: upTo(23) }],
      [
        { hash: algorithm.sha1, pcrs: upTo(9) },
        { hash: algorithm.sha256, pcrs: [0, 7, 11, 23] },
      ],
    ];
    await tpm.scope(async (scope) => {
      const key = await makeAk(scope, template);
      for (const pcrs of selections) {
        const quoted = checked(
          t,
          key,
          attestType.quote,
          await quotePcrs(scope, { key, qualifyingData: nonce, pcrs }),
        );
        t.same(quoted.pcrSelect, pcrs, 'what was asked for');
        const banks = await readPcrs(scope, pcrs);
        t.same(
          banks.map(({ values }) => values.size),
          pcrs.map((selection) => selection.pcrs.length),
        );
        t.same(quoted.pcrDigest, pcrDigest(algorithm.sha256, pcrs, banks), 'digest of what is read');
      }
      const read = await readPcrs(scope, [{ hash: algorithm.sha256, pcrs: [11] }]);
      t.same(read[0]?.values.get(11), extended(algorithm.sha256, Buffer.alloc(32), event));
    });
  });

live('a bank that is not allocated: an empty selection, and the digest of nothing', async (t, { tpm }) => {
  const pcrs = [{ hash: algorithm.sha384, pcrs: [0, 1] }];
  t.same(
    (await pcrBanks(tpm)).map(({ hash }) => hash),
    [algorithm.sha1, algorithm.sha256],
  );
  await tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    const quoted = checked(
      t,
      key,
      attestType.quote,
      await quotePcrs(scope, { key, qualifyingData: nonce, pcrs }),
    );
    t.same(
      quoted.pcrSelect.flatMap((selection) => selection.pcrs),
      [],
    );
    t.same(quoted.pcrDigest, createHash('sha256').digest());
    t.equal((await readPcrs(scope, pcrs))[0]?.values.size, 0, 'they are missing, not zero');
    t.throws(() => pcrDigest(algorithm.sha256, pcrs, []), RangeError);
  });
});

live('registers: events, and resets where locality 0 may', async (t, { tpm }) => {
  const read = async (pcr: number) =>
    (await readPcrs(tpm, [{ hash: algorithm.sha256, pcrs: [pcr] }]))[0]?.values.get(pcr);
  const eventData = Buffer.from('something happened');
  const handles = { pcrHandle: permanent(16) };
  const { digests } = await tpm.execute(pcrEvent, { handles, parameters: { eventData } });
  const ofEvent = createHash('sha256').update(eventData).digest();
  t.same(digests.find(({ hash }) => hash === algorithm.sha256)?.digest, ofEvent);
  t.same(await read(16), extended(algorithm.sha256, Buffer.alloc(32), ofEvent));
  await tpm.execute(pcrReset, { handles, parameters: {} });
  t.same(await read(16), Buffer.alloc(32));
  const notAllowed = tpm.execute(pcrReset, { handles: { pcrHandle: permanent(0) }, parameters: {} });
  await refused(t, notAllowed, 'LOCALITY', 'PCR 0');
  await refused(t, extendPcr(tpm, 17, [{ hash: algorithm.sha256, digest: ofEvent }]), 'LOCALITY', 'PCR 17');
});

live('other things that an attestation key signs', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    const srk = await makePrimary(scope, { hierarchy: permanent(handle.owner), template: srkEccP256 });

    const ofObject = await certifyObject(scope, { key, qualifyingData: nonce, object: srk });
    const certified = checked(t, key, attestType.certify, ofObject);
    t.same(certified.name, srk.name);
    t.same(certified.qualifiedName, qualifiedName(nameOfHandle(handle.owner), srk.name));

    const ofCreation = await certifyCreationOf(scope, { key, qualifyingData: nonce, object: srk });
    const created = checked(t, key, attestType.creation, ofCreation);
    t.same(created.objectName, srk.name);
    t.same(created.creationHash, createHash('sha256').update(srk.creationData).digest());
    const other = await makePrimary(scope, { hierarchy: endorsement, template: srkEccP256 });
    const mixed = { ...srk, creationTicket: other.creationTicket };
    await refused(
      t,
      certifyCreationOf(scope, { key, qualifyingData: nonce, object: mixed }),
      'TICKET',
      'a ticket of another key',
    );

    const time = checked(t, key, attestType.time, await attestTime(scope, { key, qualifyingData: nonce }));
    const { currentTime } = await scope.execute(readClock, { handles: {}, parameters: {} });
    t.ok(time.time <= currentTime.time);
    t.ok(time.clockInfo.clock <= currentTime.clockInfo.clock);
    t.equal(time.clockInfo.resetCount, currentTime.clockInfo.resetCount);

    const index = await nvIndexAt(scope, 0x01c00002);
    if (index === null) throw new Error('the state has it');
    // The whole certificate is more than one attestation can hold.
    const part = { ...index, nvPublic: { ...index.nvPublic, dataSize: 64 } };
    const nv = checked(
      t,
      key,
      attestType.nv,
      await certifyNv(scope, { index: part, key, qualifyingData: nonce }),
    );
    t.same(nv.indexName, index.name);
    t.equal(nv.contents.length, 64);
  });
});

live('a key that is not restricted signs digests; a restricted one what it made', async (t, { tpm }) => {
  const template: EccPublic = {
    ...akEccP256,
    attributes: new Set(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'noDA', 'sign']),
  };
  const text = Buffer.from('a text');
  const digest = createHash('sha256').update(text).digest();
  await tpm.scope(async (scope) => {
    const parent = await makeSrk(scope);
    const none = Buffer.alloc(0);
    const made = await scope.execute(create, {
      handles: { parentHandle: parent },
      parameters: {
        inSensitive: { userAuth: none, data: none },
        inPublic: template,
        outsideInfo: none,
        creationPCR: [],
      },
    });
    const key = await loadObject(scope, { parent, privateArea: made.outPrivate, publicArea: made.outPublic });
    const signature = await signDigest(scope, key, digest);
    t.ok(isSignedBy(key.publicArea, text, signature));
    t.notOk(isSignedBy(key.publicArea, Buffer.from('another'), signature));
    const ak = await makeAk(scope);
    await refused(t, signDigest(scope, ak, digest), 'TICKET', 'a digest from outside');
  });
});
