/** Handles that never change, and the ranges of the others (TPM 2.0 Part 2, sections 7.2 to 7.5). */

/** TPM_RH: what has a handle without being loaded. */
export const handle = {
  owner: 0x40000001,
  null: 0x40000007,
  /** Stands in a command where a password authorizes. */
  password: 0x40000009,
  lockout: 0x4000000a,
  endorsement: 0x4000000b,
  platform: 0x4000000c,
} as const;

/** First byte of a handle: what kind of thing it names (TPM_HT). */
export const handleType = {
  pcr: 0x00,
  nv: 0x01,
  hmacSession: 0x02,
  policySession: 0x03,
  permanent: 0x40,
  transient: 0x80,
  persistent: 0x81,
} as const;

/** The kind of thing that a handle names, one of {@link handleType}. */
export const typeOf = (value: number): number => value >>> 24;
