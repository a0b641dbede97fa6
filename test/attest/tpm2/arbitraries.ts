/** Random structures as a TPM could send them. */
import fc from 'fast-check';
import { algorithm } from '../../../daemon/attest/tpm2/algorithms.ts';
import type { NvAttribute, ObjectAttribute } from '../../../daemon/attest/tpm2/attributes.ts';
import { type Attest, attestType, type ClockInfo } from '../../../daemon/attest/tpm2/structures/attest.ts';
import { type CapabilityData, capability } from '../../../daemon/attest/tpm2/structures/capability.ts';
import type { CreationData } from '../../../daemon/attest/tpm2/structures/creation.ts';
import type { NvPublic } from '../../../daemon/attest/tpm2/structures/nv.ts';
import type { HashValue, PcrSelection } from '../../../daemon/attest/tpm2/structures/pcr.ts';
import type { Public, Scheme, Symmetric } from '../../../daemon/attest/tpm2/structures/public.ts';
import type { Signature } from '../../../daemon/attest/tpm2/structures/signature.ts';
import type { Ticket } from '../../../daemon/attest/tpm2/structures/ticket.ts';

/** A record as code makes it, with the prototype of objects. */
const record = <Value>(fields: { [Name in keyof Value]: fc.Arbitrary<Value[Name]> }): fc.Arbitrary<Value> =>
  fc.record<Value>(fields, { noNullPrototype: true });

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const exactly = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
const upTo = (maxLength: number) => fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));
const digestBytes = upTo(64);
const nameBytes = upTo(66);
const setOf = <Name>(...names: Name[]) => fc.subarray(names).map((chosen) => new Set(chosen));

const sizes = [
  [algorithm.sha1, 20],
  [algorithm.sha256, 32],
  [algorithm.sha384, 48],
  [algorithm.sha512, 64],
] as const;

/** TPML_PCR_SELECTION. */
export const pcrSelectionList: fc.Arbitrary<readonly PcrSelection[]> = fc.uniqueArray(
  record({ hash: u16, pcrs: fc.subarray(Array.from({ length: 32 }, (_, pcr) => pcr)) }),
  { selector: ({ hash }) => hash, maxLength: 16 },
);

/** TPML_DIGEST_VALUES. */
export const hashValueList: fc.Arbitrary<readonly HashValue[]> = fc.array(
  fc
    .constantFrom(...sizes)
    .chain(([hash, size]) => record({ hash: fc.constant(hash), digest: exactly(size) })),
  { maxLength: 16 },
);

const symmetric: fc.Arbitrary<Symmetric> = fc.option(
  record({ algorithm: fc.constant(algorithm.aes), keyBits: fc.constantFrom(128, 256, 7), mode: u16 }),
);
const schemes = (...ids: number[]): fc.Arbitrary<Scheme> =>
  fc.option(record({ algorithm: fc.constantFrom(...ids), hash: u16 }));
const rsaes: fc.Arbitrary<Scheme> = fc.constant({ algorithm: algorithm.rsaes, hash: null });

const common = {
  nameAlg: fc.oneof(fc.constantFrom(...sizes.map(([hash]) => hash)), u16),
  attributes: setOf<ObjectAttribute>(
    'fixedTPM',
    'stClear',
    'fixedParent',
    'sensitiveDataOrigin',
    'userWithAuth',
    'adminWithPolicy',
    'noDA',
    'encryptedDuplication',
    'restricted',
    'decrypt',
    'sign',
    'x509sign',
  ),
  authPolicy: digestBytes,
};

/** TPMT_PUBLIC. */
export const publics: fc.Arbitrary<Public> = fc.oneof(
  record({
    type: fc.constant(algorithm.rsa),
    ...common,
    symmetric,
    scheme: fc.oneof(schemes(algorithm.rsassa, algorithm.rsapss, algorithm.oaep), rsaes),
    keyBits: u16,
    exponent: fc.oneof(fc.constantFrom(0, 3, 65_537), u32),
    modulus: fc.oneof(upTo(512), exactly(256)),
  }),
  record({
    type: fc.constant(algorithm.ecc),
    ...common,
    symmetric,
    scheme: schemes(algorithm.ecdsa, algorithm.ecdh),
    curve: fc.oneof(fc.constantFrom(3, 4, 5), u16),
    kdf: schemes(algorithm.kdf1Sp800Part108, 0x20, 0x21),
    x: fc.oneof(upTo(66), exactly(32)),
    y: fc.oneof(upTo(66), exactly(32)),
  }),
  record({
    type: fc.constant(algorithm.keyedHash),
    ...common,
    scheme: fc.oneof(
      schemes(algorithm.hmac),
      record({ algorithm: fc.constant(algorithm.xor), hash: u16, kdf: u16 }),
    ),
    unique: digestBytes,
  }),
  record({ type: fc.constant(algorithm.symCipher), ...common, symmetric, unique: digestBytes }),
);

const clockInfo: fc.Arbitrary<ClockInfo> = record({
  clock: u64,
  resetCount: u32,
  restartCount: u32,
  isSafe: fc.boolean(),
});

/** TPMS_ATTEST. */
export const attests: fc.Arbitrary<Attest> = record({
  qualifiedSigner: nameBytes,
  extraData: nameBytes,
  clockInfo,
  firmwareVersion: u64,
  attested: fc.oneof(
    record({
      type: fc.constant(attestType.quote),
      pcrSelect: pcrSelectionList,
      pcrDigest: digestBytes,
    }),
    record({ type: fc.constant(attestType.certify), name: nameBytes, qualifiedName: nameBytes }),
    record({ type: fc.constant(attestType.creation), objectName: nameBytes, creationHash: digestBytes }),
    record({ type: fc.constant(attestType.nv), indexName: nameBytes, offset: u16, contents: upTo(600) }),
    record({ type: fc.constant(attestType.time), time: u64, clockInfo, firmwareVersion: u64 }),
  ),
});

/** TPMS_CAPABILITY_DATA. */
export const capabilities: fc.Arbitrary<CapabilityData> = fc.oneof(
  record({
    capability: fc.constant(capability.algorithms),
    values: fc.array(record({ algorithm: u16, attributes: u32 })),
  }),
  record({
    capability: fc.constantFrom(capability.handles, capability.commands),
    values: fc.array(u32),
  }),
  record({ capability: fc.constant(capability.eccCurves), values: fc.array(u16) }),
  record({ capability: fc.constant(capability.pcrs), values: pcrSelectionList }),
  record({
    capability: fc.constant(capability.properties),
    values: fc.array(record({ property: u32, value: u32 })),
  }),
);

/** TPMS_CREATION_DATA. */
export const creations: fc.Arbitrary<CreationData> = record({
  pcrSelect: pcrSelectionList,
  pcrDigest: digestBytes,
  locality: u8,
  parentNameAlg: u16,
  parentName: nameBytes,
  parentQualifiedName: nameBytes,
  outsideInfo: nameBytes,
});

/** TPMS_NV_PUBLIC. */
export const nvPublics: fc.Arbitrary<NvPublic> = record({
  index: u32,
  nameAlg: u16,
  attributes: record({
    type: fc.integer({ min: 0, max: 15 }),
    set: setOf<NvAttribute>('ppWrite', 'ownerWrite', 'policyDelete', 'noDA', 'written', 'readStClear'),
  }),
  authPolicy: digestBytes,
  dataSize: u16,
});

/** TPMT_SIGNATURE. */
export const signatures: fc.Arbitrary<Signature> = fc.oneof(
  record({
    algorithm: fc.constantFrom(algorithm.rsassa, algorithm.rsapss),
    hash: u16,
    signature: upTo(512),
  }),
  record({ algorithm: fc.constant(algorithm.ecdsa), hash: u16, r: upTo(66), s: upTo(66) }),
);

/** TPMT_TK_*. */
export const tickets: fc.Arbitrary<Ticket> = record({ tag: u16, hierarchy: u32, digest: digestBytes });

/** TPM2B_SENSITIVE_CREATE. */
export const sensitives = record({ userAuth: digestBytes, data: upTo(256) });
