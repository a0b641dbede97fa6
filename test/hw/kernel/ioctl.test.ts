import { closeSync, constants, openSync } from 'node:fs';
import t from 'tap';
import { ioctlOf, systemCode } from '../../../daemon/hw/kernel/ioctl.ts';
import { fromMonotonic } from '../../../daemon/hw/kernel/monotonic.ts';
import { FakeDevice } from './fake.ts';

const notLinux = process.platform === 'linux' ? false : 'numbers of ioctl are those of Linux';

t.test('the ioctl of the C library', { skip: notLinux }, async (t) => {
  const { default: koffi } = await import('koffi');
  const ioctl = ioctlOf(koffi);
  t.equal(ioctlOf(koffi), ioctl, 'one prototype, however often it is asked for');
  const device = new FakeDevice(t.testdir({}), 'pipe');
  device.send(new Uint8Array(300));
  const reader = device.open();
  const room = new Uint8Array(4);
  // FIONREAD
  ioctl(reader, 0x541b, room);
  t.same([...room], [300 - 256, 1, 0, 0]);
  // EVIOCSCLOCKID on what is no input device.
  t.throws(() => ioctl(reader, 0x400445a0, room), { code: 'ENOTTY', message: /^ENOTTY: / });
  closeSync(reader);
  device.remove();
  const nothing = openSync('/dev/null', constants.O_RDONLY);
  closeSync(nothing);
  t.throws(() => ioctl(nothing, 0x541b, room), { code: 'EBADF' });
});

t.test('codes of errors', async (t) => {
  t.equal(systemCode(Object.assign(new Error('x'), { code: 'EBUSY' })), 'EBUSY');
  t.equal(systemCode(new Error('x')), null);
  t.equal(systemCode('EBUSY'), null);
});

t.test('times of the kernel are times of performance.now()', async (t) => {
  const before = performance.now();
  const at = fromMonotonic(process.hrtime.bigint());
  const after = performance.now();
  t.ok(at > before - 1 && at < after + 1, `${before} ${at} ${after}`);
});
