/** Attribute words as lists of claims (TPM 2.0 Part 2, sections 8.3, 8.4, 13.4): `['fixedTPM', 'sign']` for 0x00040002. */
import type { Codec } from './codec.ts';
import { TpmFormatError } from './wire.ts';

/** Attributes that are set; those with a name, in any order. */
export type Attributes<Name extends string> = ReadonlySet<Name>;

/** TPMA_OBJECT, bit numbers. */
const objectBits = {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  /** `encrypt` for symmetric keys. */
  sign: 18,
  x509sign: 19,
} as const;
export type ObjectAttribute = keyof typeof objectBits;

/** TPMA_NV, bit numbers, without the type in bits 4 to 7. */
const nvBits = {
  ppWrite: 0,
  ownerWrite: 1,
  authWrite: 2,
  policyWrite: 3,
  policyDelete: 10,
  writeLocked: 11,
  writeAll: 12,
  writeDefine: 13,
  writeStClear: 14,
  globalLock: 15,
  ppRead: 16,
  ownerRead: 17,
  authRead: 18,
  policyRead: 19,
  noDA: 25,
  orderly: 26,
  clearStClear: 27,
  readLocked: 28,
  written: 29,
  platformCreate: 30,
  readStClear: 31,
} as const;
export type NvAttribute = keyof typeof nvBits;

/** TPM_NT, what an NV index is (Part 2, section 13.2). */
export const nvType = { ordinary: 0, counter: 1, bits: 2, extend: 4, pinFail: 8, pinPass: 9 } as const;

/** TPMA_SESSION, bit numbers. */
const sessionBits = {
  continueSession: 0,
  auditExclusive: 1,
  auditReset: 2,
  /** The first parameter of the command is encrypted. */
  decrypt: 5,
  /** The first parameter of the response is encrypted. */
  encrypt: 6,
  audit: 7,
} as const;
export type SessionAttribute = keyof typeof sessionBits;

function toWord<Name extends string>(
  bits: Readonly<Record<Name, number>>,
  attributes: Attributes<Name>,
): number {
  let word = 0;
  for (const name of attributes) word += 2 ** bits[name];
  return word;
}

/** @throws TpmFormatError when a reserved bit is set: nobody knows what it means */
function fromWord<Name extends string>(bits: Readonly<Record<Name, number>>, word: number): Attributes<Name> {
  const names = new Set<Name>();
  let rest = word;
  for (const [name, bit] of Object.entries(bits) as [Name, number][])
    if (Math.floor(word / 2 ** bit) % 2 === 1) {
      names.add(name);
      rest -= 2 ** bit;
    }
  if (rest !== 0) throw new TpmFormatError(`reserved attribute bits are set: 0x${rest.toString(16)}`);
  return names;
}

/** TPMA_OBJECT. */
export const objectAttributes: Codec<Attributes<ObjectAttribute>> = {
  read: (reader) => fromWord(objectBits, reader.u32()),
  write: (writer, value) => writer.u32(toWord(objectBits, value)),
};

/** What an NV index is and what may be done with it. */
export interface NvAttributes {
  /** One of {@link nvType}. */
  readonly type: number;
  readonly set: Attributes<NvAttribute>;
}

/** TPMA_NV. */
export const nvAttributes: Codec<NvAttributes> = {
  read(reader) {
    const word = reader.u32();
    const type = (word >>> 4) & 0xf;
    return { type, set: fromWord(nvBits, word - type * 16) };
  },
  write: (writer, { type, set }) => writer.u32(toWord(nvBits, set) + type * 16),
};

/** TPMA_SESSION. */
export const sessionAttributes: Codec<Attributes<SessionAttribute>> = {
  read: (reader) => fromWord(sessionBits, reader.u8()),
  write: (writer, value) => writer.u8(toWord(sessionBits, value)),
};
