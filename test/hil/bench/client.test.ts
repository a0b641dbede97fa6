/** The client against the firmware's own logic over a pseudo-terminal, with everything that a line can do to them. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { portOpener } from '../../../daemon/hw/ports/open.ts';
import { BenchClient } from '../../../hil/bench/client.ts';
import { Controller, noPython } from './controller.ts';

const all = 'line,quad,fader,sniff';

interface Greeted {
  readonly controller: Controller;
  readonly client: BenchClient;
  /** What the sniffer told; null: a loss. */
  readonly sniffed: (string | null)[];
}

/** A greeted client; its controller was told nothing but to let go. */
async function greeted(t: Test): Promise<Greeted> {
  const controller = await Controller.start(all);
  t.teardown(() => controller.unplug());
  const sniffed: (string | null)[] = [];
  const client = await connect(controller.path, sniffed);
  t.teardown(() => client.close());
  t.same(await controller.done(), [['release']], 'a greeting lets go of everything');
  return { controller, client, sniffed };
}

/** On a busy machine a request is sent twice, which is harmless; what is lost costs little time. */
const patience = { replyTimeoutMs: 50, mostAttempts: 30 };

function connect(path: string, sniffed: (string | null)[], often = patience): Promise<BenchClient> {
  return BenchClient.open({
    ...often,
    path,
    openPort: portOpener({ type: 'pty', path }),
    onSniffed: (bytes) => sniffed.push(bytes === null ? null : Buffer.from(bytes).toString('hex')),
  });
}

t.test('every request does what it says', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  t.same([...client.hello.abilities], all.split(','));
  await client.request(['line', '5', 'low', '3'], 0);
  await client.request(['line', '5', 'free', '0'], 0);
  await client.request(['quad', '2', '3', '5', '200'], 0);
  await client.request(['quad', '2', '3', '-3', '4000'], 0);
  await client.request(['quad', '7', '8', '0', '1'], 0);
  await client.request(['fader', '6', '65535'], 0);
  await client.request(['sniff', '16'], 0);
  await client.request(['release'], 0);
  await client.request(['quad', '2', '3', '1', '1'], 0);
  t.same(await controller.done(), [
    ['line', 5, 'low', 3],
    ['line', 5, 'free', 0],
    // A before B is clockwise; 1 is open.
    ['turn', 2, 5000, [0b01, 0b00, 0b10, 0b11, 0b01]],
    ['turn', 2, 250, [0b11, 0b10, 0b00]],
    ['turn', 7, 1_000_000, []],
    ['fader', 6, 65_535],
    ['sniff', 16],
    ['release'],
    ['turn', 2, 1_000_000, [0b01]],
  ]);
});

t.test('requests that no controller should do are refused', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  await client.request(['quad', '2', '3', '1', '1'], 0);
  await controller.done();
  const cases: [request: string, answer: string][] = [
    ['fly', 'command'],
    ['line 5 low', 'arguments 3'],
    ['line 23 low 0', 'argument 1'],
    ['line 5.0 low 0', 'argument 1'],
    ['line 5 up 0', 'argument 2'],
    ['line 5 low 101', 'argument 3'],
    ['line 3 low 0', 'argument 1'],
    ['fader 2 0', 'argument 1'],
    ['fader 5 65536', 'argument 2'],
    ['quad 5 7 4 10', 'argument 2'],
    ['quad 3 4 4 10', 'argument 1'],
    ['quad 1 2 4 10', 'argument 2'],
    ['quad 28 29 4 10', 'argument 2'],
    ['quad 5 6 4 0', 'argument 4'],
    ['quad 5 6 4 20001', 'argument 4'],
    ['quad 5 6 601 10', 'argument 3'],
    ['quad 5 6 -601 10', 'argument 3'],
    ['quad 5 6 99999999999 20000', 'argument 3'],
    ['quad 21 22 4 10', ''],
    ['sniff 22', 'argument 1'],
    ['sniff 2', 'argument 1'],
  ];
  for (const [request, answer] of cases) {
    const asked = client.request(request.split(' '), 0);
    if (answer === '') await t.resolves(asked, request);
    else await t.rejects(asked, { message: new RegExp(`refused "${request}": ${answer}$`) }, request);
  }
  t.same(await controller.done(), [['turn', 21, 100_000, [1, 0, 2, 3]]], 'and nothing was moved');
  await client.request(['release'], 0);
  await t.rejects(client.request(['quad', '22', '23', '4', '10'], 0), /argument 2/);
  await t.rejects(client.request(['quad', '0', '1', '-0x4', '10'], 0), /argument 3/);
});

t.test('anything that is asked is answered and harms nobody', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  const word = fc.oneof(
    fc.constantFrom('line', 'quad', 'fader', 'sniff', 'sync', 'low', 'high', 'free', '2', '3', '-1', '0'),
    fc.integer().map(String),
    fc.string({ unit: fc.constantFrom(...'az09-+._*?=!'), minLength: 1, maxLength: 8 }),
  );
  const number = fc.integer({ min: -1, max: 9 }).map(String);
  const likely = fc.oneof(
    fc.tuple(fc.constant('line'), number, fc.constantFrom('low', 'high', 'free', 'up'), number),
    fc.tuple(fc.constant('quad'), number, number, number, number),
    fc.tuple(fc.constantFrom('fader', 'sniff', 'sync', 'release'), number),
  );
  const requests = fc.sample(fc.oneof(fc.array(word, { minLength: 1, maxLength: 6 }), likely), 300);
  let refused = 0;
  for (const words of requests.filter(([name]) => name !== 'hello')) {
    try {
      await client.request(words, 0);
    } catch (error) {
      refused += 1;
      t.match(error, { message: /refused/ }, words.join(' '));
    }
  }
  t.ok(refused > 0 && refused < requests.length, `${refused} of ${requests.length} refused`);
  await client.request(['release'], 0);
  await controller.done();
  await client.request(['line', '28', 'low', '0'], 0);
  t.same(await controller.done(), [['line', 28, 'low', 0]]);
});

t.test('requests wait for each other', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  const asked = ['low', 'free', 'high'].map((level) => client.request(['line', '1', level, '0'], 0));
  await Promise.all(asked);
  t.same(await controller.done(), [
    ['line', 1, 'low', 0],
    ['line', 1, 'free', 0],
    ['line', 1, 'high', 0],
  ]);
});

for (const fault of ['drop', 'tear', 'spoil'])
  t.test(`a reply is lost (${fault}): asked again, turned once`, { skip: noPython }, async (t) => {
    const { controller, client } = await greeted(t);
    await controller.order(fault, 2);
    await client.request(['quad', '2', '3', '1', '1000'], 0);
    await controller.hears('fault');
    await controller.hears('fault');
    t.same(await controller.done(), [['turn', 2, 1000, [0b01]]]);
    await client.request(['quad', '2', '3', '1', '1000'], 0);
    t.same(await controller.done(), [['turn', 2, 1000, [0b00]]], 'the same words again are another turn');
  });

t.test('a request is lost: asked again', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  await controller.order('deafen', 2);
  await client.request(['line', '1', 'low', '0'], 0);
  await controller.hears('fault');
  t.same(await controller.done(), [['line', 1, 'low', 0]]);
});

t.test('noise on the line, from both ends', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  for (const noise of ['00ff80', '3d2031206f6b202a', Buffer.from('? 1 hello 1 *15f75d38').toString('hex')]) {
    await controller.order('noise', noise);
    await controller.order('noise', '0a');
    await client.request(['line', '1', 'low', '0'], 0);
  }
  t.same(await controller.done(), Array(3).fill(['line', 1, 'low', 0]));
  // A reply that follows noise without an end of its own is lost with it, and comes again.
  await controller.order('noise', 'ff'.repeat(300));
  await client.request(['line', '1', 'free', '0'], 0);
  t.same(await controller.done(), [['line', 1, 'free', 0]]);
});

t.test(
  'what half a line left at the controller does not take a request with it',
  { skip: noPython },
  async (t) => {
    const controller = await Controller.start(all);
    t.teardown(() => controller.unplug());
    const handlers = { onData: () => {}, onClosed: () => {} };
    const port = await portOpener({ type: 'pty', path: controller.path })(controller.path, handlers);
    port.write(
      Buffer.concat([Buffer.from([0, 255]), Buffer.from('? 7 line 5 low'), Buffer.alloc(5000, 'x')]),
    );
    await port.close();
    const client = await connect(controller.path, [], { replyTimeoutMs: 20_000, mostAttempts: 1 });
    t.teardown(() => client.close());
    t.same(await controller.done(), [['release']]);
  },
);

t.test('the controller starts anew in the middle', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  await client.request(['line', '1', 'low', '0'], 0);
  const { boot } = client.hello;
  await controller.order('deafen', 1);
  const refused = t.rejects(client.request(['quad', '2', '3', '4', '1000'], 1000), {
    message: /was started anew before "quad 2 3 4 1000": all its lines are open again/,
  });
  await controller.hears('fault');
  await controller.order('reset');
  await refused;
  await t.rejects(client.request(['line', '1', 'free', '0'], 0), /started anew/, 'from then on');
  await client.close();
  t.same(await controller.done(), [['line', 1, 'low', 0]], 'nothing was turned');
  const next = await connect(controller.path, []);
  t.teardown(() => next.close());
  t.not(next.hello.boot, boot);
  await next.request(['line', '1', 'low', '0'], 0);
  t.same(await controller.done(), [['release'], ['line', 1, 'low', 0]], 'greeted again, it works');
});

t.test('another version, and something else altogether', { skip: noPython }, async (t) => {
  const controller = await Controller.start(all);
  t.teardown(() => controller.unplug());
  await controller.order('version', 2);
  await t.rejects(connect(controller.path, []), {
    message: /speaks version 2 of the protocol, this is version 1: copy hil\/bench\/firmware to it/,
  });
  t.same(await controller.done(), [], 'it was not touched');
  await controller.order('drop', 1000);
  await t.rejects(connect(controller.path, []), { message: /does not answer "hello 1"/ });
});

t.test('unplugged', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  await controller.order('drop', 1);
  const lost = t.rejects(client.request(['quad', '2', '3', '4', '1000'], 60_000), {
    code: 'E_HW_PORT_LOST',
    message: new RegExp(controller.path),
  });
  await controller.hears('fault');
  await controller.unplug();
  await lost;
  await t.rejects(client.request(['sync'], 0), { code: 'E_HW_PORT_LOST' });
  await client.close();
  await t.resolves(client.close(), 'twice');
  await t.rejects(connect(controller.path, []), { code: 'E_HW_PORT_OPEN' });
});

t.test('closing lets go', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  await client.request(['line', '1', 'low', '0'], 0);
  await client.close();
  t.same(await controller.done(), [['line', 1, 'low', 0], ['release']]);
  await t.rejects(client.request(['sync'], 0), /was closed/);
});

t.test('what the sniffer saw comes before the reply to sync', { skip: noPython }, async (t) => {
  const { controller, client, sniffed } = await greeted(t);
  await controller.order('see', 'aabbccdd');
  await client.request(['sync'], 0);
  t.same(sniffed, [], 'nobody listens yet');
  await client.request(['sniff', '16'], 0);
  const seen = Buffer.from(Array.from({ length: 1000 }, (_, at) => at & 0xff)).toString('hex');
  await controller.order('see', seen);
  await client.request(['sync'], 0);
  t.equal(sniffed.join(''), `aabbccdd${seen}`);
  t.ok(sniffed.length >= 1004 / 120, 'in pieces');
});

t.test('what the sniffer or the line loses is told', { skip: noPython }, async (t) => {
  const { controller, client, sniffed } = await greeted(t);
  await client.request(['sniff', '16'], 0);
  await controller.order('miss');
  await controller.order('see', '01020304');
  await client.request(['sync'], 0);
  t.same(sniffed.splice(0), [null, '01020304']);
  await controller.order('spoil', 1);
  await controller.order('see', '05060708');
  await client.request(['sync'], 0);
  t.same(sniffed.splice(0), [], 'a spoilt event is not taken');
  await controller.order('see', '090a0b0c');
  await client.request(['sync'], 0);
  t.same(sniffed.splice(0), [null, '090a0b0c'], 'and missed as soon as the next one comes');
});

t.test('faults of all kinds in a row: every turn is done once', { skip: noPython }, async (t) => {
  const { controller, client } = await greeted(t);
  const faults = fc.sample(fc.constantFrom('drop', 'tear', 'spoil', 'deafen', 'none', 'noise'), {
    numRuns: 12,
    seed: 3,
  });
  for (const [index, fault] of faults.entries()) {
    if (fault === 'noise') await controller.order('noise', '2120300a3d');
    else if (fault !== 'none') await controller.order(fault, 1);
    await client.request(['fader', '6', String(index)], 0);
  }
  const done = await controller.done();
  t.same(
    done,
    faults.map((_, index) => ['fader', 6, index]),
  );
});
