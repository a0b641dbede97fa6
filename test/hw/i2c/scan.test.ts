import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import { listBuses, probeAddress, systemRoots } from '../../../daemon/hw/i2c/scan.ts';
import { bench, RegisterChip, usual } from './bench.ts';

async function roots(t: Pick<Test, 'teardown'>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-scan-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const made = { dev: path.join(folder, 'dev'), sysfs: path.join(folder, 'sys') };
  await mkdir(made.dev);
  return made;
}

t.test('buses of /dev and of sysfs, by number', async (t) => {
  const { dev, sysfs } = await roots(t);
  const adapter = async (bus: number, name: string | null) => {
    const folder = path.join(sysfs, 'class/i2c-dev', `i2c-${bus}`);
    await mkdir(folder, { recursive: true });
    if (name !== null) await writeFile(path.join(folder, 'name'), `${name}\n`);
  };
  await adapter(10, 'bcm2835 (i2c@7e804000)');
  await adapter(2, 'without a file');
  await adapter(3, null);
  for (const name of ['i2c-10', 'i2c-7', 'i2c-3', 'i2c-x', 'i2c-', 'i2c-1.old', 'ttyAMA0']) {
    await writeFile(path.join(dev, name), '');
  }
  await symlink('nowhere', path.join(dev, 'i2c-11'));
  const file = (bus: number) => path.join(dev, `i2c-${bus}`);
  const all = { hasFile: true, isReadable: true, isWritable: true };
  const none = { isReadable: false, isWritable: false };
  t.same(await listBuses({ dev, sysfs }), [
    { bus: 2, path: file(2), name: 'without a file', hasFile: false, ...none },
    { bus: 3, path: file(3), name: null, ...all },
    { bus: 7, path: file(7), name: null, ...all },
    { bus: 10, path: file(10), name: 'bcm2835 (i2c@7e804000)', ...all },
    { bus: 11, path: file(11), name: null, hasFile: true, ...none },
  ]);
});

t.test('a machine without I2C, and one that hides it', async (t) => {
  const { dev, sysfs } = await roots(t);
  t.same(await listBuses({ dev, sysfs }), []);
  await mkdir(path.join(sysfs, 'class'), { recursive: true });
  await writeFile(path.join(sysfs, 'class/i2c-dev'), 'no folder');
  await t.rejects(listBuses({ dev, sysfs }), { code: 'E_HW_BUS_OPEN' });
  t.ok(Array.isArray(await listBuses(systemRoots)), 'this machine can be asked');
});

t.test('asks each address in the way that does the least harm', async (t) => {
  const { timers, sim, owner, transports } = bench(usual);
  await owner.start();
  const present = [0x03, 0x20, 0x2f, 0x30, 0x37, 0x38, 0x4f, 0x50, 0x5f, 0x60, 0x77];
  for (const address of present) sim.plug(address, new RegisterChip());
  sim.unplug(0x21);
  const answers: number[] = [];
  for (let address = 0x03; address <= 0x77; address += 1) {
    const probe = probeAddress(owner.device(address));
    await timers.pass(1);
    const presence = await probe;
    if (presence === 'answers') answers.push(address);
    else t.equal(presence, 'silent');
  }
  t.same(answers, present);
  const read =
    transports[0]?.begun.filter(({ readLength }) => readLength > 0).map(({ address }) => address) ?? [];
  const range = (first: number, last: number) =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index);
  t.same(read, [...range(0x30, 0x37), ...range(0x50, 0x5f)]);
  t.ok(transports[0]?.begun.every(({ write, readLength }) => write.length === 0 && readLength <= 1));
});

t.test('tells addresses of kernel drivers, and adapters that cannot ask', async (t) => {
  const { timers, owner, transports } = bench(usual);
  await owner.start();
  const probe = async (errno: number) => {
    const cause = Object.assign(new Error('refused'), { errno });
    transports[0]?.failures.push(new SurfacedError('E_HW_BUS', '0x46 on bus 1', { cause }));
    const presence = probeAddress(owner.device(0x46));
    presence.catch(() => {});
    await timers.pass(1);
    return presence;
  };
  t.equal(await probe(16), 'claimed');
  t.equal(await probe(-16), 'claimed');
  t.equal(await probe(95), 'untested');
  await t.rejects(probe(5), { code: 'E_HW_BUS' });
});
