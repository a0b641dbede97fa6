/** Sessions and what a policy demands (TPM 2.0 Part 3, sections 11 and 23). */
import { algorithm } from '../algorithms.ts';
import { type Codec, i32, list, u8, u16, u32 } from '../codec.ts';
import { digestBuffer, maxBuffer, nameBuffer, opaqueBuffer } from '../structures/common.ts';
import { pcrSelections } from '../structures/pcr.ts';
import { ticket } from '../structures/ticket.ts';
import { TpmFormatError } from '../wire.ts';
import { define, defineLoading } from './definition.ts';

/** TPM_SE. */
export const sessionType = { hmac: 0x00, policy: 0x01, trial: 0x03 } as const;

/** TPMT_SYM_DEF of sessions: AES-128 in CFB mode, or none. */
const sessionCipher: Codec<'aes-128-cfb' | null> = {
  read(reader) {
    const id = reader.u16();
    if (id === algorithm.null) return null;
    if (id === algorithm.aes && reader.u16() === 128 && reader.u16() === algorithm.cfb) return 'aes-128-cfb';
    throw new TpmFormatError('expected AES-128 in CFB mode, or no cipher');
  },
  write(writer, value) {
    writer.u16(value === null ? algorithm.null : algorithm.aes);
    if (value === null) return;
    writer.u16(128);
    writer.u16(algorithm.cfb);
  },
};

export const startAuthSession = defineLoading({
  name: 'TPM2_StartAuthSession',
  code: 0x176,
  handles: ['tpmKey', 'bind'],
  authorized: 0,
  parameters: {
    nonceCaller: digestBuffer,
    encryptedSalt: opaqueBuffer,
    sessionType: u8,
    symmetric: sessionCipher,
    authHash: u16,
  },
  result: { nonceTPM: digestBuffer },
});

export const policyRestart = define({
  name: 'TPM2_PolicyRestart',
  code: 0x180,
  handles: ['sessionHandle'],
  authorized: 0,
  parameters: {},
  result: {},
});

export const policyGetDigest = define({
  name: 'TPM2_PolicyGetDigest',
  code: 0x189,
  handles: ['policySession'],
  authorized: 0,
  parameters: {},
  result: { policyDigest: digestBuffer },
});

export const policySecret = define({
  name: 'TPM2_PolicySecret',
  code: 0x151,
  handles: ['authHandle', 'policySession'],
  authorized: 1,
  parameters: { nonceTPM: digestBuffer, cpHashA: digestBuffer, policyRef: digestBuffer, expiration: i32 },
  result: { timeout: digestBuffer, policyTicket: ticket },
});

export const policyPcr = define({
  name: 'TPM2_PolicyPCR',
  code: 0x17f,
  handles: ['policySession'],
  authorized: 0,
  parameters: { pcrDigest: digestBuffer, pcrs: pcrSelections },
  result: {},
});

export const policyOr = define({
  name: 'TPM2_PolicyOR',
  code: 0x171,
  handles: ['policySession'],
  authorized: 0,
  parameters: { pHashList: list('TPML_DIGEST', digestBuffer, 8) },
  result: {},
});

export const policyAuthorize = define({
  name: 'TPM2_PolicyAuthorize',
  code: 0x16a,
  handles: ['policySession'],
  authorized: 0,
  parameters: {
    approvedPolicy: digestBuffer,
    policyRef: digestBuffer,
    keySign: nameBuffer,
    checkTicket: ticket,
  },
  result: {},
});

export const policyAuthValue = define({
  name: 'TPM2_PolicyAuthValue',
  code: 0x16b,
  handles: ['policySession'],
  authorized: 0,
  parameters: {},
  result: {},
});

export const policyCommandCode = define({
  name: 'TPM2_PolicyCommandCode',
  code: 0x16c,
  handles: ['policySession'],
  authorized: 0,
  parameters: { code: u32 },
  result: {},
});

/** TPM_EO, how PolicyNV compares (Part 2, section 6.17). */
export const comparison = { equal: 0, notEqual: 1, unsignedGreater: 3, unsignedLess: 5 } as const;

export const policyNv = define({
  name: 'TPM2_PolicyNV',
  code: 0x149,
  handles: ['authHandle', 'nvIndex', 'policySession'],
  authorized: 1,
  parameters: { operandB: maxBuffer, offset: u16, operation: u16 },
  result: {},
});
