import fc from 'fast-check';
import t from 'tap';
import { Command, endOf } from '../../../daemon/bridge/gateway/command.ts';
import { keepMs, OnceWindow, windowSize } from '../../../daemon/bridge/gateway/once.ts';
import { TokenBucket } from '../../../daemon/bridge/gateway/rate.ts';
import type { AckMessage } from '../../../daemon/bridge/wire/messages.ts';

const id = 'session-0001-1';

function newCommand(): { command: Command; phases: string[]; ends: string[] } {
  const phases: string[] = [];
  const ends: string[] = [];
  const command = new Command({
    surface: 'desk',
    message: { v: 1, id, slot: 0, want: 4, saw: 3, issuedAt: 0, ttlMs: 5000 },
    binding: null,
    receivedAt: 0,
    deadlineAt: 0,
    onAck: ({ phase }) => phases.push(phase),
    onEnd: (_, end) => ends.push(end.code),
  });
  return { command, phases, ends };
}

t.test('whatever is tried with a command, it ends once and its acks are in order', (t) => {
  const step = fc.constantFrom('receive', 'accept', 'converge', 'expire');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const { command, phases, ends } = newCommand();
      for (const name of steps) {
        if (name === 'receive') command.receive();
        else if (name === 'accept') command.accept(4);
        else command.end(endOf(name === 'converge' ? 'converged' : 'expired', name, ''));
      }
      const hasEnd = steps.some((name) => name === 'converge' || name === 'expire');
      if (ends.length !== (hasEnd ? 1 : 0)) return false;
      if (hasEnd && ends[0] !== steps.find((name) => name === 'converge' || name === 'expire')) return false;
      return /^(received )?(accepted )?(converged|expired)?$/.test(
        phases.map((phase) => (phase === 'received' || phase === 'accepted' ? `${phase} ` : phase)).join(''),
      );
    }),
  );
  t.end();
});

t.test('a command is not accepted before it is received, nor anything after its end', (t) => {
  const { command, phases } = newCommand();
  command.accept(4);
  t.same(phases, []);
  command.receive();
  t.equal(command.end(endOf('denied', 'Forbidden', '')), true);
  t.equal(command.signal.aborted, true, 'what runs for it stops');
  command.accept(4);
  t.equal(command.end(endOf('converged', '', '')), false);
  t.same(phases, ['received', 'denied']);
  t.equal(command.wasAccepted, false);
  t.end();
});

t.test('the window answers a repeat with the last ack, and forgets only what is long over', (t) => {
  const window = new OnceWindow();
  const ack = (phase: AckMessage['phase']): AckMessage => ({
    v: 1,
    id,
    phase,
    code: '',
    now: null,
    detail: '',
    guards: [],
  });
  t.equal(window.recall(id), undefined, 'not seen');
  t.ok(window.remember(id, 0));
  t.equal(window.recall(id), null, 'seen, not answered yet');
  window.answered(ack('received'), 0);
  window.remember('session-0001-2', keepMs * 2);
  t.equal(window.recall(id)?.phase, 'received', 'a command without an end is never forgotten');
  window.answered(ack('converged'), keepMs * 2);
  window.remember('session-0001-3', keepMs * 3 - 1);
  t.equal(window.recall(id)?.phase, 'converged');
  window.remember('session-0001-4', keepMs * 3);
  t.equal(window.recall(id), undefined);
  t.end();
});

t.test('a full window refuses instead of forgetting', (t) => {
  const window = new OnceWindow();
  for (let index = 0; index < windowSize; index++) window.remember(`id-${index}`, 0);
  t.equal(window.remember('one-more', 0), false);
  t.equal(window.recall('id-0'), null, 'the oldest is still there');
  t.end();
});

t.test('the bucket gives a burst, then its rate', (t) => {
  const bucket = new TokenBucket(10, 3, 0);
  t.same(
    [1, 2, 3, 4].map(() => bucket.take(0)),
    [true, true, true, false],
  );
  t.equal(bucket.take(99), false);
  t.equal(bucket.take(200), true);
  t.same(
    [1, 2, 3, 4].map(() => bucket.take(60_000)),
    [true, true, true, false],
    'no more than the burst',
  );
  t.end();
});
