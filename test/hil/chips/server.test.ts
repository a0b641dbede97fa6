import { deepStrictEqual } from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { SimBus } from '../../../hil/sim/chips/bus.ts';
import { decodeRequest, FrameError, RequestParser } from '../../../hil/sim/chips/frames.ts';
import { type ChipModel, type I2cMessage, ProtocolError } from '../../../hil/sim/chips/model.ts';
import { ChipServer, noBusErrno } from '../../../hil/sim/chips/server.ts';

/** Answers reads with what was written last. */
function echo(): ChipModel {
  let last: Uint8Array = Uint8Array.of(0);
  return {
    part: 'echo',
    reset: () => {},
    transfer: (messages) =>
      messages.flatMap((message) => {
        if (message.isRead) return [Uint8Array.from({ length: message.length }, (_, at) => last[at] ?? 0xff)];
        if (message.bytes[0] === 0xee) throw new ProtocolError('echo: not this one');
        if (message.bytes[0] === 0xdd) throw new Error('the model is broken');
        last = message.bytes;
        return [];
      }),
  };
}

const newBus = () => new SimBus({ now: () => 0, clockHz: 400_000, random: () => 0.5 });

async function serve(t: Test, buses: ReadonlyMap<number, SimBus>) {
  const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-chips-'));
  const file = path.join(folder, 'i2c.sock');
  const server = new ChipServer(buses);
  await server.listen(file);
  t.teardown(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return { server, file };
}

/** A connection that collects replies. */
async function client(t: Test, file: string) {
  const socket: Socket = connect(file);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  // A reset is one way to be closed.
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  let pending: Buffer = Buffer.alloc(0);
  const waiting: ((reply: { result: number; bytes: number[] }) => void)[] = [];
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
      const rest = pending.subarray(4, 4 + pending.readUInt32LE(0));
      pending = pending.subarray(4 + rest.length);
      waiting.shift()?.({ result: rest.readInt32LE(0), bytes: [...rest.subarray(4)] });
    }
  });
  const ask = (bytes: Uint8Array) =>
    new Promise<{ result: number; bytes: number[] }>((resolve) => {
      waiting.push(resolve);
      socket.write(bytes);
    });
  return { socket, ask, closed };
}

/** A request as the adapters write it. */
function request(bus: number, address: number, messages: readonly (readonly number[] | number)[]): Buffer {
  const parts = messages.map((message) => {
    if (typeof message === 'number') return Buffer.from([1, message & 0xff, message >> 8]);
    return Buffer.from([0, message.length & 0xff, message.length >> 8, ...message]);
  });
  const head = Buffer.alloc(9);
  const rest = Buffer.concat(parts);
  head.writeUInt32LE(5 + rest.length, 0);
  head.writeUInt16LE(bus, 4);
  head.writeUInt16LE(address, 6);
  head.writeUInt8(messages.length, 8);
  return Buffer.concat([head, rest]);
}

t.test('transfers of every form, on several buses and connections', async (t) => {
  const [one, two] = [newBus(), newBus()];
  one.plug(0x48, echo());
  two.plug(0x48, echo());
  const { server, file } = await serve(
    t,
    new Map([
      [1, one],
      [7, two],
    ]),
  );
  const [a, b] = [await client(t, file), await client(t, file)];
  t.same(await a.ask(request(1, 0x48, [[1, 2, 3]])), { result: 0, bytes: [] });
  t.same(await b.ask(request(7, 0x48, [[9]])), { result: 0, bytes: [] });
  t.same(await b.ask(request(1, 0x48, [3])), { result: 0, bytes: [1, 2, 3] }, 'other connection, same bus');
  t.same(await a.ask(request(7, 0x48, [1])), { result: 0, bytes: [9] });
  t.same(await a.ask(request(1, 0x48, [[5, 6], 2, [7], 2])), { result: 0, bytes: [5, 6, 7, 0xff] });
  t.same(await a.ask(request(1, 0x48, [[]])), { result: 0, bytes: [] }, 'a scan writes nothing');
  t.same(await a.ask(request(1, 0x49, [[]])), { result: -121, bytes: [] }, 'nobody there');
  t.same(await a.ask(request(2, 0x48, [[]])), { result: noBusErrno, bytes: [] }, 'no such bus');
  t.same(server.protocolErrors, []);
});

t.test('a bus that is pulled and put back', async (t) => {
  const buses = new Map([[1, newBus()]]);
  const { file } = await serve(t, buses);
  const { ask } = await client(t, file);
  t.equal((await ask(request(1, 0x48, [1]))).result, -121);
  const bus = buses.get(1) ?? newBus();
  buses.delete(1);
  t.equal((await ask(request(1, 0x48, [1]))).result, noBusErrno);
  bus.plug(0x48, echo());
  buses.set(1, bus);
  t.equal((await ask(request(1, 0x48, [1]))).result, 0);
});

t.test('requests in pieces and in heaps are answered in their order', async (t) => {
  const bus = newBus();
  bus.plug(0x20, echo());
  const { file } = await serve(t, new Map([[1, bus]]));
  const { ask, socket } = await client(t, file);
  const heap = Array.from({ length: 200 }, (_, index) => request(1, 0x20, [[index], 1]));
  const answers = heap.map((bytes) => ask(bytes));
  t.same(
    (await Promise.all(answers)).map(({ bytes }) => bytes[0]),
    heap.map((_, index) => index),
  );
  const last = request(1, 0x20, [[42], 1]);
  for (const byte of last.subarray(0, -1)) socket.write(Uint8Array.of(byte));
  t.same(await ask(last.subarray(-1)), { result: 0, bytes: [42] });
});

t.test('the last request of a connection that says no more is answered', async (t) => {
  const bus = newBus();
  bus.plug(0x20, echo());
  bus.fault(0x20, 'stuck');
  const { server, file } = await serve(t, new Map([[1, bus]]));
  const { ask, socket, closed } = await client(t, file);
  const answer = ask(request(1, 0x20, [1]));
  socket.end();
  t.equal((await answer).result, -110);
  await closed;
  t.same(server.protocolErrors, []);
});

t.test('a stuck transfer holds its bus and no other', async (t) => {
  const [one, two] = [newBus(), newBus()];
  for (const bus of [one, two]) {
    bus.plug(0x20, echo());
    bus.plug(0x21, echo());
  }
  one.fault(0x20, 'stuck');
  const { file } = await serve(
    t,
    new Map([
      [1, one],
      [2, two],
    ]),
  );
  const clients = [await client(t, file), await client(t, file), await client(t, file)] as const;
  const ends: string[] = [];
  const ask = (index: 0 | 1 | 2, name: string, bytes: Buffer) =>
    clients[index].ask(bytes).then(({ result }) => ends.push(`${name} ${result}`));
  const stuck = ask(0, 'stuck', request(1, 0x20, [1]));
  const behind = ask(1, 'behind', request(1, 0x21, [1]));
  await ask(2, 'other bus', request(2, 0x20, [1]));
  await Promise.all([stuck, behind]);
  t.same(ends, ['other bus 0', 'stuck -110', 'behind 0']);
});

t.test('a part that stretches the clock holds its bus, and answers', async (t) => {
  const bus = newBus();
  for (const address of [0x20, 0x21]) bus.plug(address, echo());
  const { file } = await serve(t, new Map([[1, bus]]));
  const clients = [await client(t, file), await client(t, file)] as const;
  for (const fault of ['slow', 'held'] as const) {
    bus.fault(0x20, fault);
    const ends: string[] = [];
    const stretched = clients[0]
      .ask(request(1, 0x20, [1]))
      .then(({ result }) => ends.push(`stretched ${result}`));
    const behind = clients[1].ask(request(1, 0x21, [1])).then(({ result }) => ends.push(`behind ${result}`));
    await Promise.all([stretched, behind]);
    t.same(ends, ['stretched 0', 'behind 0'], fault);
    t.ok(bus.stretchMs(0x20) > 0);
    bus.fault(0x20, 'none');
    t.equal(bus.stretchMs(0x20), 0);
  }
});

t.test('what a model does not take is an error of its bus, a broken model one of the server', async (t) => {
  const bus = newBus();
  bus.plug(0x20, echo());
  const { server, file } = await serve(t, new Map([[1, bus]]));
  const { ask, socket, closed } = await client(t, file);
  t.equal((await ask(request(1, 0x20, [[0xee]]))).result, -121);
  t.same(bus.protocolErrors, ['echo: not this one']);
  t.same(server.protocolErrors, []);
  socket.write(request(1, 0x20, [[0xdd]]));
  await closed;
  t.same(server.protocolErrors, ['Error: the model is broken']);
  const again = await client(t, file);
  t.equal((await again.ask(request(1, 0x20, [1]))).result, 0, 'everybody else goes on');
});

t.test('a malformed or oversized frame closes that connection and no other', async (t) => {
  const bus = newBus();
  bus.plug(0x20, echo());
  const { server, file } = await serve(t, new Map([[1, bus]]));
  const good = await client(t, file);
  const frames: readonly (readonly [name: RegExp, bytes: Buffer])[] = [
    [/frame of 65537 bytes/, Buffer.from([1, 0, 1, 0])],
    [/request of 0 bytes/, Buffer.alloc(4)],
    [/request of 4 bytes/, Buffer.from([4, 0, 0, 0, 1, 0, 0x20, 0])],
    [/without a message/, request(1, 0x20, [])],
    [/in the head/, Buffer.from([6, 0, 0, 0, 1, 0, 0x20, 0, 1, 0])],
    [/in the bytes/, Buffer.from([9, 0, 0, 0, 1, 0, 0x20, 0, 1, 0, 2, 0, 7])],
    [/flags 0x2/, Buffer.from([8, 0, 0, 0, 1, 0, 0x20, 0, 1, 2, 0, 0])],
    [/1 bytes after/, Buffer.from([9, 0, 0, 0, 1, 0, 0x20, 0, 1, 1, 1, 0, 7])],
    [/bytes to read/, request(1, 0x20, [60_000, 60_000])],
  ];
  for (const [name, bytes] of frames) {
    const { socket, closed } = await client(t, file);
    socket.write(bytes);
    await closed;
    t.match(server.protocolErrors.pop(), name);
    t.equal((await good.ask(request(1, 0x20, [1]))).result, 0);
  }
  t.same(server.protocolErrors, []);
});

t.test('an adapter that goes away in the middle is nobody’s fault', async (t) => {
  const bus = newBus();
  bus.plug(0x20, echo());
  bus.fault(0x20, 'stuck');
  const { server, file } = await serve(t, new Map([[1, bus]]));
  for (const bytes of [request(1, 0x20, [1]), request(1, 0x20, [1]).subarray(0, 7)]) {
    const { socket, closed } = await client(t, file);
    await new Promise((resolve) => socket.write(bytes, resolve));
    socket.destroy();
    await closed;
  }
  bus.fault(0x20, 'none');
  t.equal((await (await client(t, file)).ask(request(1, 0x20, [1]))).result, 0);
  t.same(server.protocolErrors, []);
});

t.test('closing ends what is open, even while a bus is held, and takes the socket away', async (t) => {
  const bus = newBus();
  bus.plug(0x20, echo());
  bus.fault(0x20, 'stuck');
  const { server, file } = await serve(t, new Map([[1, bus]]));
  const { socket, closed } = await client(t, file);
  const idle = await client(t, file);
  socket.write(request(1, 0x20, [1]));
  await server.close();
  await closed;
  await idle.closed;
  t.notOk(existsSync(file));
  await t.resolves(server.close(), 'twice');
  t.same(server.protocolErrors, []);
  await t.rejects(new ChipServer(new Map()).listen('/nowhere/at/all'), { code: /ENOENT|EACCES/ });
});

t.test('any request comes through in any pieces', async (t) => {
  const plain = { noNullPrototype: true };
  const message = fc.oneof(
    fc.record({ isRead: fc.constant(true as const), length: fc.integer({ min: 0, max: 100 }) }, plain),
    fc.record({ isRead: fc.constant(false as const), bytes: fc.uint8Array({ maxLength: 40 }) }, plain),
  );
  const one = fc.record(
    {
      bus: fc.integer({ min: 0, max: 0xffff }),
      address: fc.integer({ min: 0, max: 0xffff }),
      messages: fc.array(message, { minLength: 1, maxLength: 42 }),
    },
    plain,
  );
  const property = fc.property(
    fc.array(one, { maxLength: 5 }),
    fc.integer({ min: 1, max: 50 }),
    (all, step) => {
      const bytes = Buffer.concat(
        all.map(({ bus, address, messages }) =>
          request(
            bus,
            address,
            messages.map((part: I2cMessage) => (part.isRead ? part.length : [...part.bytes])),
          ),
        ),
      );
      const parser = new RequestParser();
      const got = [];
      for (let at = 0; at < bytes.length; at += step) got.push(...parser.push(bytes.subarray(at, at + step)));
      deepStrictEqual(got, all);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 50 }));
});

t.test('any bytes are requests or a frame error', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 64 });
  const property = fc.property(bytes, (rest) => {
    for (const parse of [
      () => decodeRequest(Buffer.from(rest)),
      () => new RequestParser().push(rest),
      () => new RequestParser().push(Uint8Array.of(rest.length, 0, 0, 0, ...rest)),
    ]) {
      try {
        parse();
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
      }
    }
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }));
});
