import fc from 'fast-check';
import t from 'tap';
import {
  decodeResponseCode,
  exhaustedCodes,
  retryCodes,
  type Subject,
  TpmError,
} from '../../../daemon/attest/tpm2/response-codes.ts';

/** Low byte 80 to BF: a number says of what (Part 2, table 16). */
const formatOne =
  '81 ASYMMETRIC 82 ATTRIBUTES 83 HASH 84 VALUE 85 HIERARCHY 87 KEY_SIZE 88 MGF 89 MODE 8A TYPE 8B HANDLE 8C KDF 8D RANGE ' +
  '8E AUTH_FAIL 8F NONCE 90 PP 92 SCHEME 95 SIZE 96 SYMMETRIC 97 TAG 98 SELECTOR 9A INSUFFICIENT 9B SIGNATURE 9C KEY ' +
  '9D POLICY_FAIL 9F INTEGRITY A0 TICKET A1 RESERVED_BITS A2 BAD_AUTH A3 EXPIRED A4 POLICY_CC A5 BINDING A6 CURVE A7 ECC_POINT';
/** Errors and warnings of a whole command. */
const formatZero =
  '100 INITIALIZE 101 FAILURE 103 SEQUENCE 10B PRIVATE 119 HMAC 120 DISABLED 121 EXCLUSIVE 124 AUTH_TYPE 125 AUTH_MISSING ' +
  '126 POLICY 127 PCR 128 PCR_CHANGED 12D UPGRADE 12E TOO_MANY_CONTEXTS 12F AUTH_UNAVAILABLE 130 REBOOT 131 UNBALANCED ' +
  '142 COMMAND_SIZE 143 COMMAND_CODE 144 AUTHSIZE 145 AUTH_CONTEXT 146 NV_RANGE 147 NV_SIZE 148 NV_LOCKED ' +
  '149 NV_AUTHORIZATION 14A NV_UNINITIALIZED 14B NV_SPACE 14C NV_DEFINED 150 BAD_CONTEXT 151 CPHASH 152 PARENT 153 NEEDS_TEST ' +
  '154 NO_RESULT 155 SENSITIVE 901 CONTEXT_GAP 902 OBJECT_MEMORY 903 SESSION_MEMORY 904 MEMORY 905 SESSION_HANDLES ' +
  '906 OBJECT_HANDLES 907 LOCALITY 908 YIELDED 909 CANCELED 90A TESTING 920 NV_RATE 921 LOCKOUT 922 RETRY 923 NV_UNAVAILABLE';

const pairs = (table: string): (readonly [code: number, name: string])[] =>
  [...table.matchAll(/(\S+) (\S+)/g)].map(([, code, name]) => [Number.parseInt(code!, 16), name!]);

t.test('codes that say which handle, parameter or session', async (t) => {
  for (const [base, name] of pairs(formatOne)) {
    const seen = (code: number, subject: Subject) =>
      t.match(
        decodeResponseCode(code),
        { name: `TPM_RC_${name}`, subject, base, layer: 0 },
        code.toString(16),
      );
    seen(base, { kind: 'command' });
    for (let number = 1; number <= 15; number++)
      seen(base + 0x40 + number * 0x100, { kind: 'parameter', number });
    for (let number = 1; number <= 7; number++) {
      seen(base + number * 0x100, { kind: 'handle', number });
      seen(base + 0x800 + number * 0x100, { kind: 'session', number });
    }
  }
});

t.test('codes of a whole command', async (t) => {
  for (const [code, name] of pairs(formatZero))
    t.match(
      decodeResponseCode(code),
      { name: `TPM_RC_${name}`, subject: { kind: 'command' }, base: code, layer: 0 },
      name,
    );
  t.match(decodeResponseCode(0x01e), { name: 'TPM_RC_BAD_TAG', subject: { kind: 'command' }, base: 0x1e });
});

t.test('what a handle or a session refers to is not loaded', async (t) => {
  for (let number = 1; number <= 7; number++) {
    t.match(decodeResponseCode(0x90f + number), {
      name: `TPM_RC_REFERENCE_H${number - 1}`,
      subject: { kind: 'handle', number },
      base: 0x90f + number,
    });
    t.match(decodeResponseCode(0x917 + number), {
      name: `TPM_RC_REFERENCE_S${number - 1}`,
      subject: { kind: 'session', number },
      base: 0x917 + number,
    });
  }
});

t.test('codes that a TPM was seen to answer', async (t) => {
  const seen: readonly (readonly [code: number, message: string])[] = [
    [0x100, 'INITIALIZE'],
    [0x143, 'COMMAND_CODE'],
    [0x142, 'COMMAND_SIZE'],
    [0x1da, 'INSUFFICIENT (parameter 1)'],
    [0x095, 'SIZE'],
    [0x084, 'VALUE'],
    [0x18b, 'HANDLE (handle 1, first)'],
    [0x184, 'VALUE (handle 1, first)'],
    [0x28b, 'HANDLE (handle 2, second)'],
    [0x38b, 'HANDLE (handle 3)'],
    [0x1cb, 'HANDLE (parameter 1)'],
    [0x98e, 'AUTH_FAIL (session 1)'],
    [0x9a2, 'BAD_AUTH (session 1)'],
    [0x921, 'LOCKOUT'],
    [0x1c4, 'VALUE (parameter 1)'],
    [0x99d, 'POLICY_FAIL (session 1)'],
    [0xa9d, 'POLICY_FAIL (session 2)'],
    [0x3e0, 'TICKET (parameter 3)'],
    [0x1df, 'INTEGRITY (parameter 1)'],
    [0x19a, 'INSUFFICIENT (handle 1, first)'],
    [0x14c, 'NV_DEFINED'],
    [0x1cd, 'RANGE (parameter 1)'],
    [0x14a, 'NV_UNINITIALIZED'],
    [0x146, 'NV_RANGE'],
    [0x12f, 'AUTH_UNAVAILABLE'],
    [0x101, 'FAILURE'],
    [0x907, 'LOCALITY'],
    [0x902, 'OBJECT_MEMORY'],
    [0x903, 'SESSION_MEMORY'],
    [0x922, 'RETRY'],
    [0x910, 'REFERENCE_H0 (handle 1, first)'],
  ];
  for (const [code, text] of seen) {
    const error = new TpmError('TPM2_Thing', code, { handles: ['first', 'second'] });
    t.ok(error.message.startsWith(`TPM2_Thing: TPM_RC_${text}: `), error.message);
    t.ok(error.message.endsWith(`[0x${code.toString(16).padStart(3, '0')}]`), error.message);
    t.notMatch(error.message, /not known/);
    t.equal(error.code, code);
    t.equal(error.command, 'TPM2_Thing');
    t.equal(error.is('SCHEME', text.split(' ')[0]!), true);
    t.equal(error.is('SCHEME'), false);
  }
});

t.test('codes of the software in between', async (t) => {
  const error = new TpmError('TPM2_Thing', 0x000b0143, { handles: [] });
  t.match(error.decoded, { name: 'TPM_RC_COMMAND_CODE', layer: 11, base: 0x143 });
  t.match(error.message, /\[0xb0143, from software layer 11\]$/);
});

t.test('codes that nobody knows', async (t) => {
  t.match(decodeResponseCode(0x086), { name: 'TPM_RC_0x086', meaning: /not known/ });
  t.match(decodeResponseCode(0x1bf), { name: 'TPM_RC_0x1bf', subject: { kind: 'handle', number: 1 } });
  t.match(decodeResponseCode(0x17f), { name: 'TPM_RC_0x17f' });
  t.match(decodeResponseCode(0x97f), { name: 'TPM_RC_0x97f' });
  t.match(decodeResponseCode(0x002), { name: 'TPM_RC_0x002' });
  t.match(decodeResponseCode(0xd22), { name: 'TPM_RC_0xd22', base: 0xd22 }, "the vendor's, not RETRY");
  t.match(decodeResponseCode(0x501), { name: 'TPM_RC_0x501', base: 0x501 }, "the vendor's, not FAILURE");
});

t.test('every code of 32 bits is taken apart', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (code) => {
      const { name, meaning, subject, layer } = decodeResponseCode(code);
      const isNumbered = subject.kind === 'command' || (subject.number >= 1 && subject.number <= 15);
      return name.startsWith('TPM_RC_') && meaning !== '' && isNumbered && layer >= 0 && layer <= 255;
    }),
    { numRuns: 2000 },
  );
});

t.test('which codes are worth another try', async (t) => {
  const named = (codes: ReadonlySet<number>) => [...codes].map((code) => decodeResponseCode(code).name);
  t.same(
    named(retryCodes).toSorted(),
    ['NV_RATE', 'NV_UNAVAILABLE', 'RETRY', 'TESTING', 'YIELDED'].map((name) => `TPM_RC_${name}`),
  );
  t.same(
    named(exhaustedCodes).toSorted(),
    ['MEMORY', 'OBJECT_HANDLES', 'OBJECT_MEMORY', 'SESSION_HANDLES', 'SESSION_MEMORY'].map(
      (name) => `TPM_RC_${name}`,
    ),
  );
});
