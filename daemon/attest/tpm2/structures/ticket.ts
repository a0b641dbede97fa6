/** Tickets: a TPM's word to itself (TPM 2.0 Part 2, section 10.7). */
import { type Codec, struct, u16, u32 } from '../codec.ts';
import { handle } from '../handles.ts';
import { digestBuffer } from './common.ts';

/** TPM_ST of tickets. */
export const ticketTag = {
  creation: 0x8021,
  verified: 0x8022,
  authSecret: 0x8023,
  hashCheck: 0x8024,
} as const;

/** TPMT_TK_CREATION, TPMT_TK_VERIFIED, TPMT_TK_AUTH, TPMT_TK_HASHCHECK. */
export interface Ticket {
  /** One of {@link ticketTag}. */
  readonly tag: number;
  readonly hierarchy: number;
  readonly digest: Uint8Array;
}

export const ticket: Codec<Ticket> = struct({ tag: u16, hierarchy: u32, digest: digestBuffer });

/** The ticket that says nothing, for what needs none. */
export const nullTicket = (tag: number): Ticket => ({
  tag,
  hierarchy: handle.null,
  digest: new Uint8Array(0),
});
