import fc from 'fast-check';
import t from 'tap';
import { nextState, type TrustEvent, trustEvents } from '../../../daemon/attest/trust/states.ts';
import type { TrustState } from '../../../daemon/attest/trust/types.ts';

const states: readonly TrustState[] = ['quarantined', 'pending', 'trusted', 'stale', 'failed', 'revoked'];

/** The same in words: what is not listed stays as it is. */
const moves: Readonly<Record<TrustEvent, (state: TrustState) => TrustState>> = {
  approved: () => 'pending',
  accepted: (state) => (['quarantined', 'revoked'].includes(state) ? state : 'trusted'),
  refused: (state) => (['quarantined', 'revoked'].includes(state) ? state : 'failed'),
  contested: (state) => (['quarantined', 'revoked'].includes(state) ? state : 'failed'),
  aged: (state) => (['pending', 'trusted'].includes(state) ? 'stale' : state),
  lost: (state) => (state === 'trusted' ? 'pending' : state),
  revoked: (state) => (state === 'quarantined' ? state : 'revoked'),
};

t.test('every event in every state', async (t) => {
  for (const state of states)
    for (const event of trustEvents)
      t.equal(nextState(state, event), moves[event](state), `${state}, ${event}`);
});

t.test('whatever happens, trust is what evidence gave last and nobody took away', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...trustEvents), { maxLength: 12 }), (events) => {
      const state = events.reduce<TrustState>(nextState, 'quarantined');
      const last = events.at(-1);
      if (state === 'trusted') t.equal(last, 'accepted');
      const approvedAt = events.lastIndexOf('approved');
      const isRevoked = approvedAt >= 0 && events.lastIndexOf('revoked') > approvedAt;
      t.equal(state === 'revoked', isRevoked, events.join(' '));
      if (last === 'accepted' && approvedAt >= 0 && !isRevoked) t.equal(state, 'trusted', events.join(' '));
    }),
  );
});
