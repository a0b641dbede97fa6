/** Vectors of others, read where they lie: they are not ours to copy. */
import { constants, createPrivateKey, privateDecrypt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { hashOf } from '../../../daemon/attest/tpm2/algorithms.ts';
import { decode } from '../../../daemon/attest/tpm2/codec.ts';
import { encapsulate } from '../../../daemon/attest/tpm2/crypto-keys.ts';
import { kdfa, kdfe } from '../../../daemon/attest/tpm2/kdf.ts';
import { publicArea } from '../../../daemon/attest/tpm2/structures/public.ts';
import { root } from '../../structure/source-files.ts';
import { hex } from './vectors.ts';

const fixtures = process.env.SURFACED_FIXTURES;
const folder = fixtures === undefined ? null : path.resolve(root, fixtures, 'attest/third-party/kat');
const skip =
  folder === null
    ? 'SURFACED_FIXTURES names no folder with known answers'
    : !existsSync(folder) && `there is no folder ${folder}`;

/** One case: texts in hex, but for names, and numbers. */
type Case = Readonly<Record<string, string | number | undefined>>;
const cases = (file: string): readonly Case[] => {
  const list: readonly Case[] = JSON.parse(readFileSync(path.join(folder ?? '', file), 'utf8'));
  if (list.length < 50) throw new Error(`${file} holds ${list.length} cases only`);
  return list;
};
const text = (value: string | number | undefined): string => String(value ?? '');
const bytes = (value: string | number | undefined): Buffer => hex(text(value));

t.test('KDFa', { skip }, async (t) => {
  for (const { Name, HashAlg, Key, Label, ContextU, ContextV, Bits, Result } of cases('kdfa.json')) {
    const derived = kdfa({
      hash: Number(HashAlg),
      key: bytes(Key),
      label: text(Label),
      contextU: bytes(ContextU),
      contextV: bytes(ContextV),
      bits: Number(Bits),
    });
    t.equal(derived.toString('hex'), Result, text(Name));
  }
});

t.test('KDFe', { skip }, async (t) => {
  for (const { Name, HashAlg, Z, Label, ContextU, ContextV, Bits, Result } of cases('kdfe.json')) {
    const derived = kdfe({
      hash: Number(HashAlg),
      z: bytes(Z),
      label: text(Label),
      partyU: bytes(ContextU),
      partyV: bytes(ContextV),
      bits: Number(Bits),
    });
    t.equal(derived.toString('hex'), Result, text(Name));
  }
});

/** TPM_ALG_ECMQV: keys with it cannot be made by any template here, so that they are refused. */
const ecmqv = 0x001d;

t.test('secrets for ECC keys', { skip }, async (t) => {
  let refused = 0;
  for (const item of cases('ecc_labeled_encaps.json')) {
    const { Name, Label, EphemeralPrivate, PublicKey, Secret, Ciphertext } = item;
    if (/_ECMQV_/.test(text(Name))) {
      t.throws(
        () => decode('it', publicArea, bytes(PublicKey)),
        new RegExp(`scheme 0x${ecmqv.toString(16)} is not known`),
      );
      refused++;
      continue;
    }
    const key = decode('TPMT_PUBLIC', publicArea, bytes(PublicKey));
    const { secret, encrypted } = encapsulate(key, text(Label), () => bytes(EphemeralPrivate));
    t.equal(secret.toString('hex'), Secret, text(Name));
    t.equal(encrypted.toString('hex'), Ciphertext);
  }
  t.comment(`${refused} keys are for ECMQV and are refused`);
});

/** TPMT_SENSITIVE of an RSA key: type | authValue 2B | seedValue 2B | one of the primes 2B. */
function primeOf(sensitive: Buffer): bigint {
  const seedAt = 4 + sensitive.readUInt16BE(2);
  const primeAt = seedAt + 2 + sensitive.readUInt16BE(seedAt);
  return BigInt(`0x${sensitive.subarray(primeAt + 2).toString('hex')}`);
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r0, r1, t0, t1] = [modulus, value % modulus, 0n, 1n];
  while (r1 > 0n) [r0, r1, t0, t1] = [r1, r0 % r1, t1, t0 - (r0 / r1) * t1];
  return t0 < 0n ? t0 + modulus : t0;
}

const integer = (value: bigint): string => {
  const digits = value.toString(16);
  return hex(digits.padStart(digits.length + (digits.length % 2), '0')).toString('base64url');
};

t.test('secrets for RSA keys', { skip }, async (t) => {
  for (const { Name, Label, PublicKey, PrivateKey, Secret, Ciphertext } of cases('rsa_labeled_encaps.json')) {
    const area = decode('TPMT_PUBLIC', publicArea, bytes(PublicKey));
    if (!('modulus' in area)) throw new Error(`${Name} is no RSA key`);
    const [n, e, p] = [
      BigInt(`0x${Buffer.from(area.modulus).toString('hex')}`),
      BigInt(area.exponent === 0 ? 65_537 : area.exponent),
      primeOf(bytes(PrivateKey)),
    ];
    const q = n / p;
    const d = inverse(e, (p - 1n) * (q - 1n));
    const parts = { n, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
    const jwk = Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, integer(value)]));
    const key = createPrivateKey({ key: { kty: 'RSA', ...jwk }, format: 'jwk' });
    const open = (encrypted: Uint8Array) =>
      privateDecrypt(
        {
          key,
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: hashOf(area.scheme?.hash ?? area.nameAlg).name,
          oaepLabel: Buffer.from(`${Label}\0`),
        },
        encrypted,
      ).toString('hex');
    t.equal(open(bytes(Ciphertext)), Secret, `${Name}: theirs`);
    const ours = encapsulate(area, text(Label), () => bytes(Secret));
    t.equal(open(ours.encrypted), Secret, `${Name}: ours`);
  }
});
