/** Response codes and what they say of which handle, parameter or session (TPM 2.0 Part 2, section 6.6). */

const formatOne: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  1: ['ASYMMETRIC', 'asymmetric algorithm not supported or not correct'],
  2: ['ATTRIBUTES', 'inconsistent attributes'],
  3: ['HASH', 'hash algorithm not supported or not appropriate'],
  4: ['VALUE', 'value is out of range or is not correct for the context'],
  5: ['HIERARCHY', 'hierarchy is not enabled or is not correct for the use'],
  7: ['KEY_SIZE', 'key size is not supported'],
  8: ['MGF', 'mask generation function not supported'],
  9: ['MODE', 'mode of operation not supported'],
  10: ['TYPE', 'the type of the value is not appropriate for the use'],
  11: ['HANDLE', 'the handle is not correct for the use'],
  12: ['KDF', 'unsupported key derivation function'],
  13: ['RANGE', 'value was out of allowed range'],
  14: ['AUTH_FAIL', 'the authorization failed and was counted against dictionary attacks'],
  15: ['NONCE', 'invalid nonce size or nonce value mismatch'],
  16: ['PP', 'authorization requires assertion of physical presence'],
  18: ['SCHEME', 'unsupported or incompatible scheme'],
  21: ['SIZE', 'structure is the wrong size'],
  22: ['SYMMETRIC', 'unsupported symmetric algorithm or key size'],
  23: ['TAG', 'incorrect structure tag'],
  24: ['SELECTOR', 'union selector is incorrect'],
  26: ['INSUFFICIENT', 'the structure ended too early'],
  27: ['SIGNATURE', 'the signature is not valid'],
  28: ['KEY', 'key fields are not compatible with the selected use'],
  29: ['POLICY_FAIL', 'a policy check failed'],
  31: ['INTEGRITY', 'integrity check failed'],
  32: ['TICKET', 'invalid ticket'],
  33: ['RESERVED_BITS', 'reserved bits are not zero'],
  34: ['BAD_AUTH', 'the authorization failed'],
  35: ['EXPIRED', 'the policy has expired'],
  36: ['POLICY_CC', 'the command is not the one in the policy'],
  37: ['BINDING', 'public and sensitive portions of an object do not belong together'],
  38: ['CURVE', 'curve not supported'],
  39: ['ECC_POINT', 'the point is not on the curve'],
};

const versionOne: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  0: ['INITIALIZE', 'TPM2_Startup is needed, or was done already'],
  1: ['FAILURE', 'the TPM is in failure mode: only power off and on helps'],
  3: ['SEQUENCE', 'improper use of a sequence handle'],
  11: ['PRIVATE', 'not currently used'],
  25: ['HMAC', 'not currently used'],
  32: ['DISABLED', 'the command is disabled'],
  33: ['EXCLUSIVE', 'audit sequence required exclusivity'],
  36: ['AUTH_TYPE', 'the authorization handle is not correct for the command'],
  37: ['AUTH_MISSING', 'the command requires an authorization session for a handle'],
  38: ['POLICY', 'policy failure in a math operation or an invalid authPolicy'],
  39: ['PCR', 'PCR check fail'],
  40: ['PCR_CHANGED', 'PCRs have changed since they were checked'],
  45: ['UPGRADE', 'the TPM is in field upgrade mode'],
  46: ['TOO_MANY_CONTEXTS', 'context ID counter is at maximum'],
  47: ['AUTH_UNAVAILABLE', 'authValue or authPolicy is not available for the entity'],
  48: ['REBOOT', 'the TPM must be reset before it can go on'],
  49: ['UNBALANCED', 'the protection algorithms are not balanced'],
  66: ['COMMAND_SIZE', 'the size of the command is not what was received'],
  67: ['COMMAND_CODE', 'the command is not supported'],
  68: ['AUTHSIZE', 'the size of the authorization area is not correct'],
  69: ['AUTH_CONTEXT', 'an authorization session in a command that takes none'],
  70: ['NV_RANGE', 'NV offset and size are out of range'],
  71: ['NV_SIZE', 'the NV index has another size'],
  72: ['NV_LOCKED', 'NV access is locked'],
  73: ['NV_AUTHORIZATION', 'this authorization does not allow the NV access'],
  74: ['NV_UNINITIALIZED', 'the NV index was never written'],
  75: ['NV_SPACE', 'no room left in NV memory'],
  76: ['NV_DEFINED', 'the NV index or persistent object is already defined'],
  80: ['BAD_CONTEXT', 'the saved context is not valid'],
  81: ['CPHASH', 'cpHash is already set, or not correct for the use'],
  82: ['PARENT', 'the parent handle is not a valid parent'],
  83: ['NEEDS_TEST', 'some function needs testing'],
  84: ['NO_RESULT', 'the test of the TPM gave no result'],
  85: ['SENSITIVE', 'the sensitive area did not unmarshal correctly'],
};

const warnings: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  1: ['CONTEXT_GAP', 'gap for context IDs is too large: an old saved session is in the way'],
  2: ['OBJECT_MEMORY', 'out of memory for objects: loaded ones have to be flushed'],
  3: ['SESSION_MEMORY', 'out of memory for sessions: open ones have to be flushed'],
  4: ['MEMORY', 'out of shared object and session memory'],
  5: ['SESSION_HANDLES', 'out of session handles: a session must be flushed'],
  6: ['OBJECT_HANDLES', 'out of object handles'],
  7: ['LOCALITY', 'bad locality'],
  8: ['YIELDED', 'the TPM has suspended the command: send it again'],
  9: ['CANCELED', 'the command was canceled'],
  10: ['TESTING', 'the TPM is performing self tests'],
  32: ['NV_RATE', 'NV accesses are limited in rate to prevent wear-out'],
  33: [
    'LOCKOUT',
    'locked out after too many wrong authorizations: wait, or reset with the lockout authorization',
  ],
  34: ['RETRY', 'the TPM was not able to start the command: send it again'],
  35: ['NV_UNAVAILABLE', 'the command may require writing of NV, which is not accessible now'],
};

/** What a response code speaks of; numbers count from 1. */
export type Subject =
  | { readonly kind: 'handle' | 'parameter' | 'session'; readonly number: number }
  | { readonly kind: 'command' };

/** A response code, taken apart. */
export interface DecodedResponseCode {
  /** E.g. `TPM_RC_AUTH_FAIL`. */
  readonly name: string;
  readonly meaning: string;
  readonly subject: Subject;
  /** Which software answered instead of the TPM, bits 16 to 23 (TSS 2.0 layers; 11 is the resource manager); 0: the TPM. */
  readonly layer: number;
  /** The code without handle, parameter or session number. */
  readonly base: number;
}

/** Takes a response code apart; total. */
export function decodeResponseCode(code: number): DecodedResponseCode {
  const layer = (code >>> 16) & 0xff;
  const rc = code & 0xffff;
  const known = (
    table: typeof formatOne,
    key: number,
    prefix: string,
    base: number,
    subject: Subject,
  ): DecodedResponseCode => {
    const [name, meaning] = Object.hasOwn(table, key)
      ? (table[key] ?? ['', ''])
      : [`0x${rc.toString(16).padStart(3, '0')}`, 'a code that is not known here'];
    return { name: `${prefix}${name}`, meaning, subject, layer, base };
  };
  const command: Subject = { kind: 'command' };
  if ((rc & 0x80) !== 0) {
    const number = (rc >>> 8) & 0xf;
    const subject: Subject =
      (rc & 0x40) !== 0
        ? { kind: 'parameter', number }
        : (number & 8) !== 0
          ? { kind: 'session', number: number & 7 }
          : { kind: 'handle', number };
    return known(
      formatOne,
      rc & 0x3f,
      'TPM_RC_',
      0x80 + (rc & 0x3f),
      subject.number === 0 ? command : subject,
    );
  }
  // Bit 10: of the vendor, whatever the rest looks like.
  if ((rc & 0x400) !== 0) return known({}, rc, 'TPM_RC_', rc & 0xfff, command);
  if ((rc & 0x900) === 0x900) {
    const low = rc & 0x7f;
    if (low >= 0x10 && low <= 0x16)
      return {
        ...known(warnings, low, 'TPM_RC_', rc & 0xfff, { kind: 'handle', number: (low & 7) + 1 }),
        name: `TPM_RC_REFERENCE_H${low & 7}`,
        meaning: 'what the handle names is not loaded',
      };
    if (low >= 0x18 && low <= 0x1e)
      return {
        ...known(warnings, low, 'TPM_RC_', rc & 0xfff, { kind: 'session', number: (low & 7) + 1 }),
        name: `TPM_RC_REFERENCE_S${low & 7}`,
        meaning: 'the session is not loaded',
      };
    return known(warnings, low, 'TPM_RC_', rc & 0xfff, command);
  }
  if ((rc & 0x100) !== 0) return known(versionOne, rc & 0x7f, 'TPM_RC_', rc & 0xfff, command);
  if (rc === 0x1e)
    return {
      name: 'TPM_RC_BAD_TAG',
      meaning: 'the tag of the command is not known',
      subject: command,
      layer,
      base: rc,
    };
  return known({}, rc, 'TPM_RC_', rc & 0xfff, command);
}

/** Codes after which the very same bytes may be sent again: the TPM did not begin (Part 2, section 6.6.3). */
export const retryCodes: ReadonlySet<number> = new Set([0x922, 0x908, 0x90a, 0x920, 0x923]);
/** Codes that flushing helps against. */
export const exhaustedCodes: ReadonlySet<number> = new Set([0x902, 0x903, 0x904, 0x905, 0x906]);

/** A TPM refused a command. */
export class TpmError extends Error {
  override readonly name = 'TpmError';
  /** As Part 3 spells it, e.g. `TPM2_Quote`. */
  readonly command: string;
  /** The response code as it came. */
  readonly code: number;
  readonly decoded: DecodedResponseCode;

  constructor(command: string, code: number, names: { readonly handles: readonly string[] }) {
    const decoded = decodeResponseCode(code);
    const { subject } = decoded;
    const of =
      subject.kind === 'command'
        ? ''
        : ` (${subject.kind} ${subject.number}${named(subject, names.handles)})`;
    const from = decoded.layer === 0 ? '' : `, from software layer ${decoded.layer}`;
    super(
      `${command}: ${decoded.name}${of}: ${decoded.meaning} [0x${code.toString(16).padStart(3, '0')}${from}]`,
    );
    this.command = command;
    this.code = code;
    this.decoded = decoded;
  }

  /** Whether this is one of these codes, whatever handle, parameter or session it names. */
  is(...names: readonly string[]): boolean {
    return names.some((name) => this.decoded.name === `TPM_RC_${name}`);
  }
}

const named = (subject: Extract<Subject, { number: number }>, handles: readonly string[]): string => {
  const name = subject.kind === 'handle' ? handles[subject.number - 1] : undefined;
  return name === undefined ? '' : `, ${name}`;
};
