/** Each count of the failure loops can be other than zero. */
import fc from 'fast-check';
import t from 'tap';
import { type Book, behindIn, findingsIn, idOf, wrongIn } from '../../../hil/failures/ledger.ts';

const id = idOf('desk', 7);
const good: Book = {
  shut: [],
  asked: [{ id, at: 1000, ttlMs: 5000 }],
  ended: [{ id, at: 1100, phase: 'converged', code: '' }],
  written: [{ id, at: 1050 }],
};
const nothing = { lost: [], doubled: [], late: [], heldBack: [], strange: [], belied: [] };

t.test('what went as it should is not counted', async (t) => {
  t.same(findingsIn(good, 10_000), nothing);
  t.same(findingsIn({ shut: [], asked: [], ended: [], written: [] }, 10_000), nothing);
  const refused = { ...good, ended: [{ id, at: 1100, phase: 'stale', code: 'NumberChanged' }], written: [] };
  t.same(findingsIn(refused, 10_000), nothing);
});

t.test('lost: no end, once there was time for one', async (t) => {
  const open = { ...good, ended: [] };
  t.same(findingsIn(open, 1000).lost, [id]);
  t.same(findingsIn(open, 999), nothing, 'it may still come');
  const other = { ...good, ended: [{ id: idOf('desk', 8), at: 1100, phase: 'converged', code: '' }] };
  t.same(findingsIn(other, 1000).lost, [id], 'the end of another one is none');
});

t.test('doubled: two writes, or two ends', async (t) => {
  t.same(findingsIn({ ...good, written: [...good.written, { id, at: 1060 }] }, 0), {
    ...nothing,
    doubled: [id],
  });
  t.same(findingsIn({ ...good, ended: [...good.ended, ...good.ended] }, 0), { ...nothing, doubled: [id] });
});

t.test('late: written after its time to live and the grace of a write under way', async (t) => {
  t.same(findingsIn({ ...good, written: [{ id, at: 7500 }] }, 0), nothing);
  t.same(findingsIn({ ...good, written: [{ id, at: 7501 }] }, 0), { ...nothing, late: [id] });
});

t.test('held back: sent in time, carried out when the way was open again, and told as unknown', async (t) => {
  const ended = [{ id, at: 6000, phase: 'expired', code: 'AnswerLost' }];
  const held = { ...good, ended, shut: [{ from: 1060, to: 9000 }], written: [{ id, at: 9010 }] };
  t.same(findingsIn(held, 0), { ...nothing, heldBack: [id] });
  const late = { ...nothing, late: [id] };
  t.same(findingsIn({ ...held, shut: [] }, 0), late, 'nothing held it back');
  t.same(findingsIn({ ...held, shut: [{ from: 7600, to: 9000 }] }, 0), late, 'that was after its time');
  t.same(findingsIn({ ...held, written: [{ id, at: 8990 }] }, 0), late, 'it came while all was shut');
  t.same(findingsIn({ ...held, written: [{ id, at: 12_001 }] }, 0), late, 'the way had been open for long');
  t.same(findingsIn({ ...held, ended: good.ended }, 0), late, 'the operator was told something else');
});

t.test('strange and belied: written for nobody, or against what was said', async (t) => {
  const strange = idOf('desk', 9);
  t.same(findingsIn({ ...good, written: [...good.written, { id: strange, at: 1 }] }, 0), {
    ...nothing,
    strange: [strange],
  });
  for (const phase of ['denied', 'stale', 'needs-arm'])
    t.same(findingsIn({ ...good, ended: [{ id, at: 1100, phase, code: 'X' }] }, 0), {
      ...nothing,
      belied: [id],
    });
  t.same(
    findingsIn({ ...good, ended: [{ id, at: 1100, phase: 'expired', code: 'AnswerLost' }] }, 0),
    nothing,
  );
});

t.test('displays: wrong is what is shown as current; behind is also what is dimmed', async (t) => {
  const right = { surface: 'a', isLive: true, shown: 3, actual: 3 };
  const wrong = { surface: 'b', isLive: true, shown: 2, actual: 3 };
  const dimmed = { surface: 'c', isLive: false, shown: 2, actual: 3 };
  const empty = { surface: 'd', isLive: true, shown: null, actual: 3 };
  const displays = [right, wrong, dimmed, empty];
  t.same(wrongIn(displays), ['b', 'd']);
  t.same(behindIn(displays), ['b', 'c', 'd']);
});

t.test('any one fault put into any good book is found, and nothing else', async () => {
  const books = fc
    .uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 30 })
    .map((numbers) => numbers.map((number) => idOf('desk', number)));
  const faults = fc.constantFrom('lost', 'doubled', 'late', 'belied');
  fc.assert(
    fc.property(books, faults, fc.nat(), (ids, fault, index) => {
      const victim = ids[index % ids.length] ?? '';
      const asked = ids.map((one) => ({ id: one, at: 0, ttlMs: 5000 }));
      const ended = ids
        .filter((one) => fault !== 'lost' || one !== victim)
        .map((one) => ({
          id: one,
          at: 1,
          phase: fault === 'belied' && one === victim ? 'stale' : 'converged',
          code: '',
        }));
      const written = ids.map((one) => ({ id: one, at: fault === 'late' && one === victim ? 9000 : 2 }));
      if (fault === 'doubled') written.push({ id: victim, at: 3 });
      const found = findingsIn({ shut: [], asked, ended, written }, 10_000);
      return JSON.stringify(found) === JSON.stringify({ ...nothing, [fault]: [victim] });
    }),
  );
});
