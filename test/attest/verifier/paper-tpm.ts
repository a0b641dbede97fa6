/** A TPM of the tests: keys of node:crypto, PCRs in a map, and quotes made byte by byte. It signs whatever it is told to. */
import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  type Attest,
  algorithm,
  attest,
  curve,
  type EccPublic,
  encode,
  encodePublic,
  handle,
  nameOfHandle,
  nameOfPublic,
  type Public,
  pcrDigest,
  qualifiedName,
  type RsaPublic,
  type Scheme,
  signature,
} from '../../../daemon/attest/tpm2/index.ts';
import { akEccP256, ekEccP256, ekRsa2048 } from '../../../daemon/attest/tpm2/templates.ts';

/** A key with its public area. */
export interface PaperKey<Area extends Public = Public> {
  readonly area: Area;
  readonly privateKey: KeyObject;
}

const coordinate = (key: KeyObject, name: 'x' | 'y') =>
  Buffer.from(key.export({ format: 'jwk' })[name] ?? '', 'base64url');

export function eccKey(template: EccPublic): PaperKey<EccPublic> {
  const namedCurve = template.curve === curve.p384 ? 'P-384' : 'P-256';
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
  return {
    area: { ...template, x: coordinate(publicKey, 'x'), y: coordinate(publicKey, 'y') },
    privateKey,
  };
}

export function rsaKey(template: RsaPublic, modulusLength: number = template.keyBits): PaperKey<RsaPublic> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength });
  const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n ?? '', 'base64url');
  return { area: { ...template, keyBits: modulusLength, modulus }, privateKey };
}

const ecdsa = (hash: number): Scheme => ({ algorithm: algorithm.ecdsa, hash });
const akP384: EccPublic = {
  ...akEccP256,
  nameAlg: algorithm.sha384,
  curve: curve.p384,
  scheme: ecdsa(algorithm.sha384),
};
const akRsa = (scheme: number): RsaPublic => {
  const { attributes, authPolicy, nameAlg } = akEccP256;
  return {
    ...ekRsa2048,
    attributes,
    authPolicy,
    nameAlg,
    symmetric: null,
    scheme: { algorithm: scheme, hash: algorithm.sha256 },
  };
};

/** Attestation keys of all kinds that are accepted; made when they are first asked for, as RSA takes its time. */
export const attestationKeys = {
  'ECDSA P-256': lazy((): PaperKey => eccKey(akEccP256)),
  'ECDSA P-384': lazy((): PaperKey => eccKey(akP384)),
  RSASSA: lazy((): PaperKey => rsaKey(akRsa(algorithm.rsassa))),
  RSAPSS: lazy((): PaperKey => rsaKey(akRsa(algorithm.rsapss))),
} as const;
export type AttestationKind = keyof typeof attestationKeys;

/** The endorsement key of most tests, and that of another TPM. */
export const ek = eccKey(ekEccP256);
export const otherEk = eccKey(ekEccP256);
export const rsaEk = lazy(() => rsaKey(ekRsa2048));

function lazy<Value>(make: () => Value): () => Value {
  let made: Value | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

/** TPMT_SIGNATURE over these bytes, with the key's scheme or another hash. */
export function signed({ area, privateKey }: PaperKey, bytes: Uint8Array, hash?: number): Buffer {
  if (!('scheme' in area) || area.scheme === null) throw new Error('a key that signs has a scheme');
  const used = hash ?? area.scheme.hash ?? 0;
  const name = { [algorithm.sha1]: 'sha1', [algorithm.sha384]: 'sha384' }[used] ?? 'sha256';
  if (area.type === algorithm.ecc) {
    const both = sign(name, bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const [r, s] = [both.subarray(0, both.length / 2), both.subarray(both.length / 2)];
    return encode(signature, { algorithm: algorithm.ecdsa, hash: used, r, s });
  }
  const isPss = area.scheme.algorithm === algorithm.rsapss;
  const padding = isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  return encode(signature, {
    algorithm: isPss ? algorithm.rsapss : algorithm.rsassa,
    hash: used,
    signature: sign(name, bytes, { key: privateKey, padding, ...(isPss ? { saltLength: 32 } : {}) }),
  });
}

/** What is quoted, and what stands around it. */
export interface Quoting {
  readonly extraData: Uint8Array;
  readonly bank: 'sha256' | 'sha384' | 'sha512';
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly isSafe: boolean;
  readonly firmwareVersion: bigint;
}

/** The attestation that a TPM would make with this key. */
export function attestationOf(key: PaperKey, quoting: Quoting): Attest {
  const { bank, pcrs, extraData, clock, resetCount, restartCount, isSafe, firmwareVersion } = quoting;
  const pcrSelect = [{ hash: algorithm[bank], pcrs: [...pcrs.keys()] }];
  const scheme = 'scheme' in key.area ? key.area.scheme : null;
  return {
    qualifiedSigner: qualifiedName(nameOfHandle(handle.endorsement), nameOfPublic(key.area)),
    extraData,
    clockInfo: { clock, resetCount, restartCount, isSafe },
    firmwareVersion,
    attested: {
      type: 0x8018,
      pcrSelect,
      pcrDigest: pcrDigest(scheme?.hash ?? 0, pcrSelect, [{ hash: algorithm[bank], values: pcrs }]),
    },
  };
}

export const attestBytes = (value: Attest): Buffer => encode(attest, value);
export { encodePublic };
