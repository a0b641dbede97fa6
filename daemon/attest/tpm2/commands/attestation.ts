/** Credentials, quotes, certificates of the TPM's own, signatures (TPM 2.0 Part 3, sections 12.5, 12.6, 15.4, 18, 20). */
import { u16, u32 } from '../codec.ts';
import { attestBuffer } from '../structures/attest.ts';
import { dataBuffer, digestBuffer, maxBuffer, nameBuffer, opaqueBuffer } from '../structures/common.ts';
import { pcrSelections } from '../structures/pcr.ts';
import { signature, signatureScheme } from '../structures/signature.ts';
import { ticket } from '../structures/ticket.ts';
import { define } from './definition.ts';

export const makeCredential = define({
  name: 'TPM2_MakeCredential',
  code: 0x168,
  handles: ['handle'],
  authorized: 0,
  parameters: { credential: digestBuffer, objectName: nameBuffer },
  result: { credentialBlob: opaqueBuffer, secret: opaqueBuffer },
});

export const activateCredential = define({
  name: 'TPM2_ActivateCredential',
  code: 0x147,
  handles: ['activateHandle', 'keyHandle'],
  authorized: 2,
  parameters: { credentialBlob: opaqueBuffer, secret: opaqueBuffer },
  result: { certInfo: digestBuffer },
});

const quoted = { quoted: attestBuffer, signature };
const certified = { certifyInfo: attestBuffer, signature };

export const quote = define({
  name: 'TPM2_Quote',
  code: 0x158,
  handles: ['signHandle'],
  authorized: 1,
  parameters: { qualifyingData: dataBuffer, inScheme: signatureScheme, PCRselect: pcrSelections },
  result: quoted,
});

export const certify = define({
  name: 'TPM2_Certify',
  code: 0x148,
  handles: ['objectHandle', 'signHandle'],
  authorized: 2,
  parameters: { qualifyingData: dataBuffer, inScheme: signatureScheme },
  result: certified,
});

export const certifyCreation = define({
  name: 'TPM2_CertifyCreation',
  code: 0x14a,
  handles: ['signHandle', 'objectHandle'],
  authorized: 1,
  parameters: {
    qualifyingData: dataBuffer,
    creationHash: digestBuffer,
    inScheme: signatureScheme,
    creationTicket: ticket,
  },
  result: certified,
});

export const getTime = define({
  name: 'TPM2_GetTime',
  code: 0x14c,
  handles: ['privacyAdminHandle', 'signHandle'],
  authorized: 2,
  parameters: { qualifyingData: dataBuffer, inScheme: signatureScheme },
  result: { timeInfo: attestBuffer, signature },
});

export const sign = define({
  name: 'TPM2_Sign',
  code: 0x15d,
  handles: ['keyHandle'],
  authorized: 1,
  parameters: { digest: digestBuffer, inScheme: signatureScheme, validation: ticket },
  result: { signature },
});

export const verifySignature = define({
  name: 'TPM2_VerifySignature',
  code: 0x177,
  handles: ['keyHandle'],
  authorized: 0,
  parameters: { digest: digestBuffer, signature },
  result: { validation: ticket },
});

/** Hashes in the TPM; the ticket lets a restricted key sign the digest. */
export const hash = define({
  name: 'TPM2_Hash',
  code: 0x17d,
  handles: [],
  authorized: 0,
  parameters: { data: maxBuffer, hashAlg: u16, hierarchy: u32 },
  result: { outHash: digestBuffer, validation: ticket },
});
