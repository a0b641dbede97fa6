import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import { openI2cBus, openI2cBusWith } from '../../../daemon/hw/i2c/i2c-bus.ts';
import { type I2cBusPackage, loadI2cBus, type PromisifiedBus } from '../../../daemon/hw/i2c/package.ts';
import { fate } from './bench.ts';

/** An error as libuv makes it (negative number), or a native add-on (positive, and no name for what Node does not know). */
function systemError(errno: number, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`error ${errno}, ${syscall}`), { errno, syscall });
}

/** The package with its habits: one descriptor an address, opened at its first use, kept even when it has no address. */
class PackageDouble implements I2cBusPackage {
  funcs = { i2c: true, smbusReadI2cBlock: true };
  /** Thrown by the next calls: when the file is opened, when the address is set, in the transfer. */
  failures: { open?: unknown; setAddr?: unknown; transfer?: unknown; close?: unknown } = {};
  /** How many bytes a transfer moves; null: all. */
  moved: number | null = null;
  /** Resolves when a transfer may end. */
  hold: Promise<void> = Promise.resolve();
  readonly log: string[] = [];
  descriptors = 0;
  faults: string[] = [];

  async openPromisified(bus: number): Promise<PromisifiedBus> {
    const addressOf = new Map<number, number>();
    let isClosed = false;
    const use = async (address: number): Promise<number> => {
      if (isClosed) this.faults.push('used after it was closed');
      if (!addressOf.has(address)) {
        if (this.failures.open !== undefined) throw this.failures.open;
        this.descriptors += 1;
        addressOf.set(address, 0);
        if (this.failures.setAddr !== undefined) throw this.failures.setAddr;
        addressOf.set(address, address);
      } else if (addressOf.get(address) !== address) {
        this.faults.push('a transfer went to address 0');
      }
      await this.hold;
      if (this.failures.transfer !== undefined) throw this.failures.transfer;
      return address;
    };
    const move = async (what: string, address: number, length: number): Promise<number> => {
      await use(address);
      this.log.push(`${what} ${address.toString(16)} ${length}`);
      return this.moved ?? length;
    };
    return {
      i2cFuncs: async () => {
        await use(0);
        return this.funcs;
      },
      i2cRead: async (address, length, buffer) => {
        buffer.fill(0xab, 0, length);
        return { bytesRead: await move('read', address, length) };
      },
      i2cWrite: async (address, length, buffer) => ({
        bytesWritten: await move(`write ${buffer.toString('hex')}`, address, length),
      }),
      readI2cBlock: async (address, command, length, buffer) => {
        if (buffer.length < 32) this.faults.push('the adapter could write past the buffer');
        buffer.fill(command, 0, length);
        return { bytesRead: await move(`register ${command}`, address, length) };
      },
      writeQuick: async (address, bit) => {
        await move(`quick ${bit}`, address, 0);
      },
      close: async () => {
        if (isClosed) this.faults.push('closed twice');
        isClosed = true;
        this.descriptors -= addressOf.size;
        if (this.failures.close !== undefined) throw this.failures.close;
        this.log.push(`close ${bus}`);
      },
    };
  }
}

async function opened() {
  const double = new PackageDouble();
  const transport = await openI2cBusWith(async () => double)(1);
  assert.equal(double.descriptors, 0, 'looking at the adapter leaves nothing open');
  double.log.length = 0;
  return { double, transport };
}

t.test('each kind of transfer is one call of the package', async (t) => {
  const { double, transport } = await opened();
  t.same([...(await transport.transfer(0x20, [1, 2, 3], 0))], []);
  t.same([...(await transport.transfer(0x20, [], 2))], [0xab, 0xab]);
  t.same([...(await transport.transfer(0x21, [7], 3))], [7, 7, 7]);
  t.same([...(await transport.transfer(0x21, [], 0))], []);
  t.same(double.log, ['write 010203 20 3', 'read 20 2', 'register 7 21 3', 'quick 0 21 0']);
  t.equal(double.descriptors, 2);
  await Promise.all([transport.close(), transport.close()]);
  t.equal(double.descriptors, 0);
  await t.rejects(transport.transfer(0x20, [1], 0), { code: 'E_HW_BUS', message: 'bus 1 is closed' });
  t.same(double.faults, []);
});

t.test('what one transfer cannot do is refused before anything is sent', async (t) => {
  const { double, transport } = await opened();
  for (const [address, write, readLength] of [
    [0x02, [1], 0],
    [0x78, [1], 0],
    [0x20, [1, 2], 1],
    [0x20, [1], 33],
  ] as const) {
    await t.rejects(transport.transfer(address, write, readLength), { code: 'E_HW_BUS' });
  }
  t.same(
    double.log.filter((line) => !line.startsWith('close')),
    [],
  );
});

t.test('property: a transfer gives all bytes, or an error that says whose fault it is', async () => {
  const scenario = fc.record({
    stage: fc.constantFrom('none', 'open', 'setAddr', 'transfer'),
    errno: fc.oneof(fc.constantFrom(5, 6, 16, 110, 121), fc.integer({ min: 1, max: 133 })),
    sign: fc.constantFrom(1, -1),
    isOpenBefore: fc.boolean(),
    doesCloseFail: fc.boolean(),
    shape: fc.constantFrom(
      [0, 0] as const,
      [1, 0] as const,
      [350, 0] as const,
      [0, 5] as const,
      [1, 8] as const,
    ),
    moved: fc.option(fc.nat(400)),
    address: fc.integer({ min: 0x03, max: 0x77 }),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const { stage, errno, sign, isOpenBefore, doesCloseFail, shape, moved, address } = given;
      const [writes, reads] = shape;
      const { double, transport } = await opened();
      if (isOpenBefore) await transport.transfer(address, [1], 0);
      const failure = systemError(sign * errno, stage === 'transfer' ? 'ioctl' : stage);
      if (stage !== 'none') double.failures = { [stage]: failure };
      if (doesCloseFail) double.failures.close = systemError(-5, 'close');
      double.moved = moved;
      const doesFail = stage === 'transfer' || (stage !== 'none' && !isOpenBefore);
      const wanted = reads > 0 ? reads : writes;
      const isShort = wanted > 0 && moved !== null && moved !== wanted;
      const isSilence = doesFail && stage !== 'open' && (errno === 6 || errno === 121);
      const result = await transport.transfer(address, new Array<number>(writes).fill(1), reads).then(
        (bytes) => bytes,
        (error: unknown) => error,
      );
      if (doesFail || isShort) {
        assert(result instanceof SurfacedError, 'an error of ours');
        assert.equal(result.code, isSilence ? 'E_HW_NO_ACK' : 'E_HW_BUS');
        assert(result.cause instanceof Error, 'with its cause');
        if (doesFail && !doesCloseFail) assert.equal(result.cause, failure);
        assert.equal(double.descriptors, 0, 'a failure gives the descriptor back');
      } else {
        assert(result instanceof Uint8Array);
        assert.equal(result.length, reads);
        assert.equal(double.descriptors, 1);
      }
      double.failures = {};
      await transport.close();
      assert.equal(double.descriptors, 0);
      assert.deepEqual(double.faults, []);
    }),
    { numRuns: 500 },
  );
});

t.test('an address that a kernel driver has is said so, and nothing goes to address 0 instead', async (t) => {
  const { double, transport } = await opened();
  double.failures.setAddr = systemError(16, 'setAddr');
  const expected = { code: 'E_HW_BUS', message: '0x46 on bus 1 is in use by a kernel driver' };
  await t.rejects(transport.transfer(0x46, [0], 0), expected);
  await t.rejects(transport.transfer(0x46, [0], 0), expected);
  t.equal(double.descriptors, 0);
  double.failures = {};
  await transport.transfer(0x46, [0], 0);
  t.same(double.faults, []);
});

t.test('a close waits for the transfer under way, however long it takes', async (t) => {
  const { double, transport } = await opened();
  let letGo = () => {};
  double.hold = new Promise((resolve) => {
    letGo = resolve;
  });
  const hung = fate(transport.transfer(0x20, [1], 0));
  const closed = fate(transport.close());
  await new Promise(setImmediate);
  t.same([hung.now, closed.now], ['waiting', 'waiting']);
  letGo();
  await transport.close();
  t.equal(hung.now, 'done');
  t.equal(double.descriptors, 0);
  t.same(double.faults, []);
});

t.test('two transfers at once go one after the other', async (t) => {
  const { double, transport } = await opened();
  double.failures.transfer = systemError(121, 'write');
  const first = fate(transport.transfer(0x20, [1], 0));
  const second = transport.transfer(0x20, [2], 0);
  await t.rejects(second, { code: 'E_HW_NO_ACK' });
  t.equal(first.now, 'E_HW_NO_ACK');
  t.equal(double.descriptors, 0);
  t.same(double.faults, []);
});

t.test('a close that fails says so', async (t) => {
  const { double, transport } = await opened();
  await transport.transfer(0x20, [1], 0);
  double.failures.close = systemError(-5, 'close');
  await t.rejects(transport.close(), { code: 'E_HW_BUS' });
});

t.test('openings that fail', async (t) => {
  const missing = new Error("Cannot find package 'i2c-bus'");
  const without = openI2cBusWith(() => Promise.reject(missing));
  await t.rejects(without(1), { code: 'E_HW_PACKAGE', cause: missing });
  for (const funcs of [
    { i2c: false, smbusReadI2cBlock: true },
    { i2c: true, smbusReadI2cBlock: false },
  ]) {
    const double = new PackageDouble();
    double.funcs = funcs;
    await t.rejects(openI2cBusWith(async () => double)(1), {
      code: 'E_HW_BUS_OPEN',
      message: /only a part of SMBus/,
    });
    t.equal(double.descriptors, 0);
  }
  for (const failures of [{ open: systemError(-13, 'open') }, { transfer: systemError(25, 'i2cFuncs') }]) {
    const double = new PackageDouble();
    double.failures = failures;
    await t.rejects(openI2cBusWith(async () => double)(1), {
      code: 'E_HW_BUS_OPEN',
      message: /^bus 1: error/,
    });
    t.equal(double.descriptors, 0);
  }
});

const isInstalled = await loadI2cBus().then(
  () => true,
  () => false,
);
const skip = isInstalled ? false : 'the optional package i2c-bus is not installed';
t.test('the package itself, on a bus that is not there', { skip }, async (t) => {
  // Minor numbers of i2c-dev end at 1048575 (I2C_MINORS); no machine has so many.
  await t.rejects(openI2cBus(999_999), { code: 'E_HW_BUS_OPEN', message: /^bus 999999: ENOENT/ });
});
