/** Signatures and schemes to ask for: TPMT_SIGNATURE (TPM 2.0 Part 2, section 11.3.4), TPMT_SIG_SCHEME (11.2.1.5). */
import { algorithm } from '../algorithms.ts';
import { buffer, type Codec } from '../codec.ts';
import { TpmFormatError } from '../wire.ts';

/** A signature by an RSA key: RSASSA or RSAPSS. */
export interface RsaSignature {
  readonly algorithm: typeof algorithm.rsassa | typeof algorithm.rsapss;
  readonly hash: number;
  readonly signature: Uint8Array;
}

/** A signature by an ECC key: ECDSA; the integers may lack leading zeros. */
export interface EccSignature {
  readonly algorithm: typeof algorithm.ecdsa;
  readonly hash: number;
  readonly r: Uint8Array;
  readonly s: Uint8Array;
}

/** TPMT_SIGNATURE. */
export type Signature = RsaSignature | EccSignature;

const rsaBuffer = buffer('TPM2B_PUBLIC_KEY_RSA', 512);
const integerBuffer = buffer('TPM2B_ECC_PARAMETER', 66);

/** TPMT_SIGNATURE of the schemes above. */
export const signature: Codec<Signature> = {
  read(reader) {
    const id = reader.u16();
    switch (id) {
      case algorithm.rsassa:
      case algorithm.rsapss:
        return { algorithm: id, hash: reader.u16(), signature: rsaBuffer.read(reader) };
      case algorithm.ecdsa:
        return {
          algorithm: id,
          hash: reader.u16(),
          r: integerBuffer.read(reader),
          s: integerBuffer.read(reader),
        };
      default:
        throw new TpmFormatError(`signature scheme 0x${id.toString(16)} is not known`);
    }
  },
  write(writer, value) {
    writer.u16(value.algorithm);
    writer.u16(value.hash);
    if (value.algorithm === algorithm.ecdsa) {
      integerBuffer.write(writer, value.r);
      integerBuffer.write(writer, value.s);
    } else rsaBuffer.write(writer, value.signature);
  },
};

/** What to sign with; null: as the key says (TPM_ALG_NULL). */
export type SignatureScheme = { readonly algorithm: number; readonly hash: number } | null;

/** TPMT_SIG_SCHEME. */
export const signatureScheme: Codec<SignatureScheme> = {
  read(reader) {
    const id = reader.u16();
    return id === algorithm.null ? null : { algorithm: id, hash: reader.u16() };
  },
  write(writer, value) {
    writer.u16(value?.algorithm ?? algorithm.null);
    if (value !== null) writer.u16(value.hash);
  },
};
