/** Public areas of objects: TPMT_PUBLIC (TPM 2.0 Part 2, section 12.2), for keys that TPMs of today have. */
import { algorithm } from '../algorithms.ts';
import { type Attributes, type ObjectAttribute, objectAttributes } from '../attributes.ts';
import { buffer, type Codec, encode, sized } from '../codec.ts';
import { type Reader, TpmFormatError, type Writer } from '../wire.ts';
import { digestBuffer } from './common.ts';

/** Symmetric cipher of a storage key; null: none. */
export type Symmetric = {
  readonly algorithm: number;
  readonly keyBits: number;
  readonly mode: number;
} | null;
/** A signing or decryption scheme; `hash` is null for those without one (RSAES); null: the caller chooses. */
export type Scheme = { readonly algorithm: number; readonly hash: number | null } | null;

interface Common {
  readonly nameAlg: number;
  readonly attributes: Attributes<ObjectAttribute>;
  /** Digest of the policy that authorizes; empty: none. */
  readonly authPolicy: Uint8Array;
}

/** An RSA key or its template. */
export interface RsaPublic extends Common {
  readonly type: typeof algorithm.rsa;
  readonly symmetric: Symmetric;
  readonly scheme: Scheme;
  readonly keyBits: number;
  /** 0 stands for 65537. */
  readonly exponent: number;
  readonly modulus: Uint8Array;
}

/** An ECC key or its template. */
export interface EccPublic extends Common {
  readonly type: typeof algorithm.ecc;
  readonly symmetric: Symmetric;
  readonly scheme: Scheme;
  readonly curve: number;
  readonly kdf: Scheme;
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** A sealed data object (scheme null) or an HMAC key. */
export interface KeyedHashPublic extends Common {
  readonly type: typeof algorithm.keyedHash;
  readonly scheme: Scheme | { readonly algorithm: number; readonly hash: number; readonly kdf: number };
  readonly unique: Uint8Array;
}

/** A symmetric key. */
export interface SymCipherPublic extends Common {
  readonly type: typeof algorithm.symCipher;
  readonly symmetric: Symmetric;
  readonly unique: Uint8Array;
}

/** TPMT_PUBLIC. */
export type Public = RsaPublic | EccPublic | KeyedHashPublic | SymCipherPublic;

/** RSA-4096. */
const modulusBuffer = buffer('TPM2B_PUBLIC_KEY_RSA', 512);
/** P-521 needs 66 bytes. */
const coordinateBuffer = buffer('TPM2B_ECC_PARAMETER', 66);

const symmetric: Codec<Symmetric> = {
  read(reader) {
    const id = reader.u16();
    if (id === algorithm.null) return null;
    if (id !== algorithm.aes)
      throw new TpmFormatError(`symmetric algorithm 0x${id.toString(16)} is not known`);
    return { algorithm: id, keyBits: reader.u16(), mode: reader.u16() };
  },
  write(writer, value) {
    writer.u16(value?.algorithm ?? algorithm.null);
    if (value === null) return;
    writer.u16(value.keyBits);
    writer.u16(value.mode);
  },
};

const withoutHash: readonly number[] = [algorithm.rsaes];

function schemeOf(what: string, allowed: readonly number[]): Codec<Scheme> {
  return {
    read(reader) {
      const id = reader.u16();
      if (id === algorithm.null) return null;
      if (!allowed.includes(id)) throw new TpmFormatError(`${what} 0x${id.toString(16)} is not known`);
      return { algorithm: id, hash: withoutHash.includes(id) ? null : reader.u16() };
    },
    write(writer, value) {
      writer.u16(value?.algorithm ?? algorithm.null);
      if (value?.hash != null) writer.u16(value.hash);
    },
  };
}

const rsaScheme = schemeOf('RSA scheme', [
  algorithm.rsassa,
  algorithm.rsapss,
  algorithm.rsaes,
  algorithm.oaep,
]);
const eccScheme = schemeOf('ECC scheme', [algorithm.ecdsa, algorithm.ecdh]);
const kdfScheme = schemeOf('KDF', [algorithm.kdf1Sp800Part108, 0x0020, 0x0021]);

function readKeyedHashScheme(reader: Reader): KeyedHashPublic['scheme'] {
  const id = reader.u16();
  if (id === algorithm.null) return null;
  if (id === algorithm.hmac) return { algorithm: id, hash: reader.u16() };
  if (id === algorithm.xor) return { algorithm: id, hash: reader.u16(), kdf: reader.u16() };
  throw new TpmFormatError(`keyed-hash scheme 0x${id.toString(16)} is not known`);
}

function writeKeyedHashScheme(writer: Writer, scheme: KeyedHashPublic['scheme']): void {
  writer.u16(scheme?.algorithm ?? algorithm.null);
  if (scheme?.hash != null) writer.u16(scheme.hash);
  if (scheme !== null && 'kdf' in scheme) writer.u16(scheme.kdf);
}

/** TPMT_PUBLIC. */
export const publicArea: Codec<Public> = {
  read(reader) {
    const type = reader.u16();
    const common: Common = {
      nameAlg: reader.u16(),
      attributes: objectAttributes.read(reader),
      authPolicy: digestBuffer.read(reader),
    };
    switch (type) {
      case algorithm.rsa:
        return {
          type,
          ...common,
          symmetric: symmetric.read(reader),
          scheme: rsaScheme.read(reader),
          keyBits: reader.u16(),
          exponent: reader.u32(),
          modulus: modulusBuffer.read(reader),
        };
      case algorithm.ecc:
        return {
          type,
          ...common,
          symmetric: symmetric.read(reader),
          scheme: eccScheme.read(reader),
          curve: reader.u16(),
          kdf: kdfScheme.read(reader),
          x: coordinateBuffer.read(reader),
          y: coordinateBuffer.read(reader),
        };
      case algorithm.keyedHash:
        return { type, ...common, scheme: readKeyedHashScheme(reader), unique: digestBuffer.read(reader) };
      case algorithm.symCipher:
        return { type, ...common, symmetric: symmetric.read(reader), unique: digestBuffer.read(reader) };
      default:
        throw new TpmFormatError(`object type 0x${type.toString(16)} is not known`);
    }
  },
  write(writer, value) {
    writer.u16(value.type);
    writer.u16(value.nameAlg);
    objectAttributes.write(writer, value.attributes);
    digestBuffer.write(writer, value.authPolicy);
    switch (value.type) {
      case algorithm.rsa:
        symmetric.write(writer, value.symmetric);
        rsaScheme.write(writer, value.scheme);
        writer.u16(value.keyBits);
        writer.u32(value.exponent);
        modulusBuffer.write(writer, value.modulus);
        break;
      case algorithm.ecc:
        symmetric.write(writer, value.symmetric);
        eccScheme.write(writer, value.scheme);
        writer.u16(value.curve);
        kdfScheme.write(writer, value.kdf);
        coordinateBuffer.write(writer, value.x);
        coordinateBuffer.write(writer, value.y);
        break;
      case algorithm.keyedHash:
        writeKeyedHashScheme(writer, value.scheme);
        digestBuffer.write(writer, value.unique);
        break;
      case algorithm.symCipher:
        symmetric.write(writer, value.symmetric);
        digestBuffer.write(writer, value.unique);
        break;
    }
  },
};

/** TPM2B_PUBLIC. */
export const publicBuffer = sized('TPM2B_PUBLIC', publicArea);

/** The bytes of a TPMT_PUBLIC. */
export const encodePublic = (value: Public): Buffer => encode(publicArea, value);
