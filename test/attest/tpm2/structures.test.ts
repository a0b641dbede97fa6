import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { type Codec, decode, encode } from '../../../daemon/attest/tpm2/codec.ts';
import { commands } from '../../../daemon/attest/tpm2/commands/table.ts';
import { attest } from '../../../daemon/attest/tpm2/structures/attest.ts';
import { capabilityData } from '../../../daemon/attest/tpm2/structures/capability.ts';
import { creationData, sensitiveCreateBuffer } from '../../../daemon/attest/tpm2/structures/creation.ts';
import { nvPublic, nvPublicBuffer } from '../../../daemon/attest/tpm2/structures/nv.ts';
import { hashValues, pcrSelections } from '../../../daemon/attest/tpm2/structures/pcr.ts';
import { publicArea, publicBuffer } from '../../../daemon/attest/tpm2/structures/public.ts';
import { signature, signatureScheme } from '../../../daemon/attest/tpm2/structures/signature.ts';
import { nullTicket, ticket, ticketTag } from '../../../daemon/attest/tpm2/structures/ticket.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import {
  attests,
  capabilities,
  creations,
  hashValueList,
  nvPublics,
  pcrSelectionList,
  publics,
  sensitives,
  signatures,
  tickets,
} from './arbitraries.ts';
import { hex, vector } from './vectors.ts';

/** A codec with values for it, its type forgotten. */
interface Kind {
  readonly name: string;
  readonly codec: Codec<unknown>;
  readonly values: fc.Arbitrary<unknown>;
}
const kind = <Value>(name: string, codec: Codec<Value>, values: fc.Arbitrary<Value>): Kind => ({
  name,
  codec: codec as Codec<unknown>,
  values,
});

const kinds: readonly Kind[] = [
  kind('TPMT_PUBLIC', publicArea, publics),
  kind('TPM2B_PUBLIC', publicBuffer, publics),
  kind('TPMS_ATTEST', attest, attests),
  kind('TPMS_CAPABILITY_DATA', capabilityData, capabilities),
  kind('TPMS_CREATION_DATA', creationData, creations),
  kind('TPM2B_SENSITIVE_CREATE', sensitiveCreateBuffer, sensitives),
  kind('TPMS_NV_PUBLIC', nvPublic, nvPublics),
  kind('TPM2B_NV_PUBLIC', nvPublicBuffer, nvPublics),
  kind('TPML_PCR_SELECTION', pcrSelections, pcrSelectionList),
  kind('TPML_DIGEST_VALUES', hashValues, hashValueList),
  kind('TPMT_SIGNATURE', signature, signatures),
  kind('TPMT_TK', ticket, tickets),
];

/** The value, or null when the bytes were refused as they should be. */
function readOrNull(codec: Codec<unknown>, bytes: Uint8Array): { readonly value: unknown } | null {
  try {
    return { value: decode('it', codec, bytes) };
  } catch (problem) {
    if (problem instanceof TpmFormatError) return null;
    throw problem;
  }
}

t.test('what is written is read again, and gives the same bytes', async (t) => {
  for (const { name, codec, values } of kinds) {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encode(codec, value);
        const read = decode(name, codec, bytes);
        return isDeepStrictEqual(read, value) && encode(codec, read).equals(bytes);
      }),
      { numRuns: 150 },
    );
    t.pass(name);
  }
});

t.test('refused when cut off anywhere, and with a byte too many', async (t) => {
  for (const { name, codec, values } of kinds) {
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 255 }), (value, tail) => {
        const bytes = encode(codec, value);
        const memory = Buffer.concat([bytes, bytes]);
        for (let length = 0; length < bytes.length; length++)
          // What follows in memory must not be read.
          if (readOrNull(codec, memory.subarray(0, length)) !== null) return false;
        return readOrNull(codec, Buffer.concat([bytes, Buffer.of(tail)])) === null;
      }),
      { numRuns: 15 },
    );
    t.pass(name);
  }
});

/** Bytes with some of them changed, left out, repeated, or put in. */
const mutated = (values: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> => {
  const edit = fc.record({
    at: fc.nat(),
    how: fc.constantFrom('set', 'remove', 'repeat', 'insert'),
    byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 })),
  });
  return fc.tuple(values, fc.array(edit, { minLength: 1, maxLength: 4 })).map(([bytes, edits]) =>
    edits.reduce((before, { at, how, byte }) => {
      const place = before.length === 0 ? 0 : at % before.length;
      const [head, tail] = [before.subarray(0, place), before.subarray(place)];
      if (how === 'remove') return Buffer.concat([head, tail.subarray(1)]);
      if (how === 'repeat') return Buffer.concat([head, tail.subarray(0, 9), tail]);
      return Buffer.concat([head, Buffer.of(byte), how === 'set' ? tail.subarray(1) : tail]);
    }, bytes),
  );
};

/** Read or refused; what is read can be written, and read again as the same. */
function isHandled(codec: Codec<unknown>, bytes: Uint8Array): boolean {
  const read = readOrNull(codec, bytes);
  if (read === null) return true;
  const again = readOrNull(codec, encode(codec, read.value));
  return again !== null && isDeepStrictEqual(again.value, read.value);
}

t.test('any bytes, and bytes that are nearly right', async (t) => {
  for (const { name, codec, values } of kinds) {
    const nearly = mutated(values.map((value) => encode(codec, value)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), nearly, (random, changed) => {
        return isHandled(codec, random) && isHandled(codec, changed);
      }),
      { numRuns: 250 },
    );
    t.pass(name);
  }
});

t.test('any bytes as parameters or result of every command', async (t) => {
  for (const { name, parameters, result } of commands) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        return isHandled(parameters, bytes) && isHandled(result, bytes);
      }),
      { numRuns: 60 },
    );
    t.pass(name);
  }
});

t.test('selections of PCRs', async (t) => {
  const read = (text: string) => decode('it', pcrSelections, hex(text));
  t.same(read('00000001000b03800001'), [{ hash: 0x000b, pcrs: [7, 16] }]);
  t.same(read('00000002000403ffffff000c03000000'), [
    { hash: 0x0004, pcrs: Array.from({ length: 24 }, (_, pcr) => pcr) },
    { hash: 0x000c, pcrs: [] },
  ]);
  t.same(read('00000001000b0400000080'), [{ hash: 0x000b, pcrs: [31] }]);
  t.throws(() => read('00000001000b050000000000'), /bit map of 5 bytes/);
  t.throws(() => read('00000002000b03800001000b03800001'), /a bank is named twice/);
  t.throws(() => read('00000011'), /17 elements, at most 16/);
  t.throws(() => encode(pcrSelections, [{ hash: 0x000b, pcrs: [32] }]), RangeError);
  t.throws(() => encode(pcrSelections, [{ hash: 0x000b, pcrs: [-1] }]), RangeError);
  t.throws(() => encode(pcrSelections, [{ hash: 0x000b, pcrs: [0.5] }]), RangeError);
  t.throws(() => encode(pcrSelections, [{ hash: 0x000b, pcrs: [2 ** 40] }]), RangeError);
});

t.test('digests are as long as their algorithm says', async (t) => {
  t.throws(() => decode('it', hashValues, hex('000000010012')), TpmFormatError, 'an unknown one');
  t.throws(() => decode('it', hashValues, Buffer.concat([hex('00000001000b'), Buffer.alloc(20)])));
  t.throws(() => encode(hashValues, [{ hash: 0x000b, digest: Buffer.alloc(20) }]), RangeError);
});

t.test('attestations of a TPM', async (t) => {
  const quote = decode('it', attest, vector('e2', 'quote_ecc')('attest'));
  t.match(quote, {
    extraData: vector('e2', 'quote_ecc')('nonce'),
    clockInfo: { isSafe: Boolean },
    attested: { type: 0x8018, pcrSelect: [{ hash: 0x000b, pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 10, 16] }] },
  });
  const nv = vector('e8', 'nv_certify');
  t.match(decode('it', attest, nv('attest')).attested, {
    type: 0x8014,
    indexName: nv('indexName'),
    offset: 0,
  });
  t.match(decode('it', attest, vector('e8', 'certify_key')('attest')).attested, { type: 0x8017 });
  t.match(decode('it', attest, vector('e2', 'certify_creation')('attest')).attested, { type: 0x801a });
  t.ok(decode('it', creationData, vector('e2', 'certify_creation')('creationData')));

  const bytes = Buffer.from(vector('e2', 'quote_ecc')('attest'));
  bytes[0] = 0xfe;
  t.throws(() => decode('it', attest, bytes), /magic 0xfe544347/);
  bytes[0] = 0xff;
  bytes.writeUInt16BE(0x8016, 4);
  t.throws(() => decode('it', attest, bytes), /type 0x8016 is not known/);
});

t.test('selectors that nobody knows', async (t) => {
  const refused: Readonly<Record<string, readonly [Codec<unknown>, string]>> = {
    'object type': [publicArea, '0099000b000000000000'],
    'symmetric algorithm': [publicArea, '0025000b00000000000000260080004300000000'],
    'RSA scheme': [publicArea, '0001000b0000000000000010001800000000000000000000'],
    'ECC scheme': [publicArea, '0023000b000000000000001000140000000000000000'],
    KDF: [publicArea, '0023000b00000000000000100010000300070000000000'],
    'keyed-hash scheme': [publicArea, '0008000b00000000000000140000'],
    'signature scheme': [signature, '001a000b00000000'],
    capability: [capabilityData, '0000000300000000'],
  };
  for (const [name, [codec, bytes]] of Object.entries(refused))
    t.throws(() => decode('it', codec, hex(bytes)), /is not known/, name);
});

t.test('schemes and tickets that say nothing', async (t) => {
  t.equal(encode(signatureScheme, null).toString('hex'), '0010');
  t.equal(decode('it', signatureScheme, hex('0010')), null);
  t.same(decode('it', signatureScheme, hex('0018000b')), { algorithm: 0x18, hash: 0x0b });
  t.equal(encode(ticket, nullTicket(ticketTag.hashCheck)).toString('hex'), '8024400000070000');
});
