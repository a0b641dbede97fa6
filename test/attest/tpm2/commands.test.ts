import t from 'tap';
import { decode, encode } from '../../../daemon/attest/tpm2/codec.ts';
import { activateCredential, makeCredential } from '../../../daemon/attest/tpm2/commands/attestation.ts';
import { keyMs } from '../../../daemon/attest/tpm2/commands/definition.ts';
import { getCapability } from '../../../daemon/attest/tpm2/commands/general.ts';
import { nvCertify, nvRead, nvWrite } from '../../../daemon/attest/tpm2/commands/nv.ts';
import {
  contextLoad,
  contextSave,
  createLoaded,
  dictionaryAttackParameters,
  hierarchyChangeAuth,
} from '../../../daemon/attest/tpm2/commands/objects.ts';
import {
  policyAuthorize,
  policyNv,
  policySecret,
  startAuthSession,
} from '../../../daemon/attest/tpm2/commands/policies.ts';
import { commands } from '../../../daemon/attest/tpm2/commands/table.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { hex } from './vectors.ts';

/**
 * TPM_CC, handles (`@`: needs an authorization), whether a handle comes back, and whether the first parameters of command
 * and response are TPM2Bs (`b`): from the tables of Part 3.
 */
const part3 = `
Startup 144 - - - -
Shutdown 145 - - - -
SelfTest 143 - - - -
GetTestResult 17c - - - b
GetCapability 17a - - - -
GetRandom 17b - - - b
ReadClock 181 - - - -
PCR_Read 17e - - - -
PCR_Extend 182 @ - - -
PCR_Event 13c @ - b -
PCR_Reset 13d @ - - -
CreatePrimary 131 @ handle b b
Create 153 @ - b b
Load 157 @ handle b b
CreateLoaded 191 @ handle b b
LoadExternal 167 - handle b b
ReadPublic 173 h - - b
FlushContext 165 - - - -
EvictControl 120 @h - - -
ContextSave 162 h - - -
ContextLoad 161 - handle - -
Unseal 15e @ - - b
HierarchyChangeAuth 129 @ - b -
DictionaryAttackLockReset 139 @ - - -
DictionaryAttackParameters 13a @ - - -
StartAuthSession 176 hh handle b b
PolicyRestart 180 h - - -
PolicyGetDigest 189 h - - b
PolicySecret 151 @h - b b
PolicyPCR 17f h - b -
PolicyOR 171 h - - -
PolicyAuthorize 16a h - b -
PolicyAuthValue 16b h - - -
PolicyCommandCode 16c h - - -
PolicyNV 149 @hh - b -
MakeCredential 168 h - b b
ActivateCredential 147 @@ - b b
Quote 158 @ - b b
Certify 148 @@ - b b
CertifyCreation 14a @h - b b
GetTime 14c @@ - b b
Sign 15d @ - b -
VerifySignature 177 h - b -
Hash 17d - - b b
NV_DefineSpace 12a @ - b -
NV_UndefineSpace 122 @h - - -
NV_ReadPublic 169 h - - b
NV_Read 14e @h - - b
NV_Write 137 @h - b -
NV_Increment 134 @h - - -
NV_Extend 136 @h - b -
NV_Certify 184 @@h - b b
`;

t.test('handles, authorizations and what can be encrypted', async (t) => {
  const rows = part3.trim().split('\n');
  t.same(
    commands.map(({ name }) => name),
    rows.map((row) => `TPM2_${row.split(' ')[0]}`),
  );
  for (const [index, row] of rows.entries()) {
    const [, code, handles = '', returned, first, firstBack] = row.split(' ');
    const marks = handles.replace('-', '');
    t.match(
      commands[index],
      {
        code: Number.parseInt(code!, 16),
        authorized: marks.split('@').length - 1,
        returnsHandle: returned === 'handle',
        canEncryptCommand: first === 'b',
        canEncryptResponse: firstBack === 'b',
      },
      row,
    );
    t.equal(commands[index]!.handles.length, marks.length, row);
    const makesKey = /^TPM2_Create/.test(commands[index]!.name);
    t.equal(commands[index]!.mostMs, makesKey ? keyMs : 120_000);
  }
});

t.test('fields of the same size, in their order', async (t) => {
  const bytes = (text: string) => hex(text.replaceAll(' ', ''));
  const nvAt = { size: 0x0102, offset: 0x0304 };
  t.same(encode(nvRead.parameters, nvAt), bytes('0102 0304'));
  t.same(
    encode(nvCertify.parameters, { qualifyingData: bytes('aa'), inScheme: null, ...nvAt }),
    bytes('0001aa 0010 0102 0304'),
  );
  t.same(encode(nvWrite.parameters, { data: bytes('aa'), offset: 0x0102 }), bytes('0001aa 0102'));
  t.same(
    encode(getCapability.parameters, { capability: 1, property: 2, propertyCount: 3 }),
    bytes('00000001 00000002 00000003'),
  );
  t.same(
    encode(policyNv.parameters, { operandB: bytes('aa'), offset: 0x0102, operation: 0x0304 }),
    bytes('0001aa 0102 0304'),
  );
  t.same(
    encode(policySecret.parameters, {
      nonceTPM: bytes('aa'),
      cpHashA: bytes('bb'),
      policyRef: bytes('cc'),
      expiration: -2,
    }),
    bytes('0001aa 0001bb 0001cc fffffffe'),
  );
  t.same(
    encode(policyAuthorize.parameters, {
      approvedPolicy: bytes('aa'),
      policyRef: bytes('bb'),
      keySign: bytes('cc'),
      checkTicket: { tag: 0x8022, hierarchy: 0x40000001, digest: bytes('dd') },
    }),
    bytes('0001aa 0001bb 0001cc 8022 40000001 0001dd'),
  );
  t.same(
    encode(dictionaryAttackParameters.parameters, {
      newMaxTries: 1,
      newRecoveryTime: 2,
      lockoutRecovery: 3,
    }),
    bytes('00000001 00000002 00000003'),
  );
  t.same(encode(hierarchyChangeAuth.parameters, { newAuth: bytes('aabb') }), bytes('0002aabb'));
  const credential = { credentialBlob: bytes('aa'), secret: bytes('bb') };
  t.same(encode(activateCredential.parameters, credential), bytes('0001aa 0001bb'));
  t.same(decode('it', makeCredential.result, bytes('0001aa 0001bb')), credential);
  t.same(
    encode(makeCredential.parameters, { credential: bytes('aa'), objectName: bytes('bb') }),
    bytes('0001aa 0001bb'),
  );
  const context = { sequence: 1n, savedHandle: 2, hierarchy: 3, contextBlob: bytes('aa') };
  const contextBytes = bytes('0000000000000001 00000002 00000003 0001aa');
  t.same(decode('it', contextSave.result, contextBytes), { context });
  t.same(encode(contextLoad.parameters, { context }), contextBytes);
  const sealed = '0008000b0000045200000010 0000';
  t.match(decode('it', createLoaded.result, bytes(`0001aa 000e ${sealed} 0001bb`)), {
    outPrivate: bytes('aa'),
    outPublic: { type: 8 },
    name: bytes('bb'),
  });
});

t.test('the cipher of a session: AES-128 in CFB mode, or none', async (t) => {
  const start = {
    nonceCaller: hex('aa'),
    encryptedSalt: hex('bb'),
    sessionType: 1,
    symmetric: null,
    authHash: 0x0b,
  } as const;
  const none = '0001aa0001bb010010000b';
  t.equal(encode(startAuthSession.parameters, start).toString('hex'), none);
  t.same(decode('it', startAuthSession.parameters, hex(none)), start);
  const ciphered = { ...start, symmetric: 'aes-128-cfb' } as const;
  t.equal(encode(startAuthSession.parameters, ciphered).toString('hex'), '0001aa0001bb01000600800043000b');
  for (const cipher of ['000601000043', '000600800042', '000a000b'])
    t.throws(
      () => decode('it', startAuthSession.parameters, hex(`0001aa0001bb01${cipher}000b`)),
      TpmFormatError,
      cipher,
    );
});
