import fc from 'fast-check';
import t from 'tap';
import { KnobLedger } from '../../bench/parts/knob-ledger.ts';

const phases = ['received', 'accepted', 'converged', 'blocked', 'expired'] as const;

t.test('a command from its sending to its end', async (t) => {
  const ledger = new KnobLedger();
  ledger.sent('desk/1', 'a-1', 100);
  t.equal(ledger.isUnderWay('desk/1'), true);
  t.equal(ledger.isUnderWay('desk/2'), false);
  ledger.answered({ id: 'a-1', phase: 'received', code: '' }, 101);
  ledger.answered({ id: 'a-1', phase: 'accepted', code: '' }, 105);
  t.equal(ledger.underWay, 1);
  ledger.answered({ id: 'a-1', phase: 'converged', code: '' }, 130);
  t.equal(ledger.isUnderWay('desk/1'), false);
  ledger.held();
  t.match(ledger.report(2), {
    ...{ seconds: 2, sent: 1, held: 1, lost: 0, doubled: 0 },
    ...{ acceptedMs: [5], convergedMs: [30], ends: { converged: 1 } },
  });
});

t.test('told again is no second end, told otherwise is', async (t) => {
  const ledger = new KnobLedger();
  ledger.sent('desk/1', 'a-1', 0);
  for (const code of ['Late', 'Late', 'Other']) ledger.answered({ id: 'a-1', phase: 'expired', code }, 1);
  t.match(ledger.report(1), { doubled: 1, ends: { 'expired Late': 1 } });
});

t.test('cleared, it knows nothing of before', async (t) => {
  const ledger = new KnobLedger();
  ledger.sent('desk/1', 'a-1', 0);
  ledger.clear();
  ledger.answered({ id: 'a-1', phase: 'converged', code: '' }, 1);
  t.match(ledger.report(1), { sent: 0, lost: 0, ends: {} });
});

t.test('sent is lost or has one end, whatever comes in whatever order', async () => {
  const ack = fc.record({ id: fc.constantFrom('a-1', 'a-2', 'a-3'), phase: fc.constantFrom(...phases) });
  fc.assert(
    fc.property(fc.array(ack), (acks) => {
      const ledger = new KnobLedger();
      ledger.sent('desk/1', 'a-1', 0);
      ledger.sent('desk/2', 'a-2', 0);
      for (const each of acks) ledger.answered({ ...each, code: '' }, 1);
      const { sent, lost, ends, acceptedMs } = ledger.report(1);
      const ended = Object.values(ends).reduce((sum, times) => sum + times, 0);
      return (
        sent === 2 && lost + ended === sent && lost === ledger.underWay && acceptedMs.length <= acks.length
      );
    }),
  );
});
