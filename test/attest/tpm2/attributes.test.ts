import t from 'tap';
import {
  nvAttributes,
  nvType,
  type ObjectAttribute,
  objectAttributes,
  sessionAttributes,
} from '../../../daemon/attest/tpm2/attributes.ts';
import { decode, encode } from '../../../daemon/attest/tpm2/codec.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { hex } from './vectors.ts';

t.test('attributes of objects, bit by bit', async (t) => {
  const bits: readonly (readonly [ObjectAttribute, string])[] = [
    ['fixedTPM', '00000002'],
    ['stClear', '00000004'],
    ['fixedParent', '00000010'],
    ['sensitiveDataOrigin', '00000020'],
    ['userWithAuth', '00000040'],
    ['adminWithPolicy', '00000080'],
    ['noDA', '00000400'],
    ['encryptedDuplication', '00000800'],
    ['restricted', '00010000'],
    ['decrypt', '00020000'],
    ['sign', '00040000'],
    ['x509sign', '00080000'],
  ];
  for (const [name, word] of bits) {
    t.equal(encode(objectAttributes, new Set([name])).toString('hex'), word, name);
    t.same([...decode('it', objectAttributes, hex(word))], [name]);
  }
  const known = bits.reduce((sum, [, word]) => sum + Number.parseInt(word, 16), 0);
  for (let bit = 0; bit < 32; bit++) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(2 ** bit);
    if (Math.floor(known / 2 ** bit) % 2 === 0)
      t.throws(() => decode('it', objectAttributes, bytes), TpmFormatError, `bit ${bit} is reserved`);
  }
});

t.test('attributes of NV indices', async (t) => {
  const value = { type: nvType.extend, set: new Set(['ownerWrite', 'written', 'readStClear'] as const) };
  t.equal(encode(nvAttributes, value).toString('hex'), 'a0000042');
  t.same(decode('it', nvAttributes, hex('a0000042')), value);
  t.same(
    decode('it', nvAttributes, hex('22060008')),
    { type: nvType.ordinary, set: new Set(['policyWrite', 'ownerRead', 'authRead', 'noDA', 'written']) },
    'as recorded',
  );
  for (const word of ['00000100', '00000200', '00100000', '01000000'])
    t.throws(() => decode('it', nvAttributes, hex(word)), TpmFormatError, word);
});

t.test('attributes of sessions', async (t) => {
  const claims = {
    continueSession: '01',
    auditExclusive: '02',
    auditReset: '04',
    decrypt: '20',
    encrypt: '40',
    audit: '80',
  } as const;
  for (const [name, byte] of Object.entries(claims)) {
    t.equal(encode(sessionAttributes, new Set([name as keyof typeof claims])).toString('hex'), byte);
    t.same([...decode('it', sessionAttributes, hex(byte))], [name]);
  }
  for (const byte of ['08', '10', '19'])
    t.throws(() => decode('it', sessionAttributes, hex(byte)), TpmFormatError, byte);
});
