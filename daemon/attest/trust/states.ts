/** The states of a surface with a TPM and what leads from one to another: a table, without time and without effects. */
import type { TrustState } from './types.ts';

/**
 * What happens to a surface:
 * - `approved`: an operator binds an endorsement key to the name, anew, or again after it was revoked or contested.
 * - `accepted`, `refused`: evidence that this TPM signed was judged, when it came or anew.
 * - `aged`: the last accepted evidence is too old.
 * - `lost`: what was kept of the evidence cannot be read, so it cannot be judged anew.
 * - `contested`: the same endorsement key is bound to another name, too.
 * - `revoked`: by an operator.
 */
export const trustEvents = [
  'approved',
  'accepted',
  'refused',
  'aged',
  'lost',
  'contested',
  'revoked',
] as const;
export type TrustEvent = (typeof trustEvents)[number];

const nextStates: Readonly<Record<TrustState, Readonly<Record<TrustEvent, TrustState>>>> = {
  // Without a name nothing counts but approval.
  quarantined: {
    approved: 'pending',
    accepted: 'quarantined',
    refused: 'quarantined',
    aged: 'quarantined',
    lost: 'quarantined',
    contested: 'quarantined',
    revoked: 'quarantined',
  },
  pending: {
    approved: 'pending',
    accepted: 'trusted',
    refused: 'failed',
    aged: 'stale',
    lost: 'pending',
    contested: 'failed',
    revoked: 'revoked',
  },
  trusted: {
    approved: 'pending',
    accepted: 'trusted',
    refused: 'failed',
    aged: 'stale',
    lost: 'pending',
    contested: 'failed',
    revoked: 'revoked',
  },
  stale: {
    approved: 'pending',
    accepted: 'trusted',
    refused: 'failed',
    aged: 'stale',
    lost: 'stale',
    contested: 'failed',
    revoked: 'revoked',
  },
  // Neither age nor loss hides that something was wrong.
  failed: {
    approved: 'pending',
    accepted: 'trusted',
    refused: 'failed',
    aged: 'failed',
    lost: 'failed',
    contested: 'failed',
    revoked: 'revoked',
  },
  // Only an operator takes it back.
  revoked: {
    approved: 'pending',
    accepted: 'revoked',
    refused: 'revoked',
    aged: 'revoked',
    lost: 'revoked',
    contested: 'revoked',
    revoked: 'revoked',
  },
};

/** The state after an event. */
export const nextState = (state: TrustState, event: TrustEvent): TrustState => nextStates[state][event];
