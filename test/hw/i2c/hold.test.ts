/** Who begins holds the bus: another process is told by whom, and nothing stays after a crash. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import t from 'tap';
import { holdBus } from '../../../daemon/hw/i2c/hold.ts';

const skip = process.platform === 'linux' ? false : 'abstract socket names are for Linux only';
/** Any character device will do: buses are told apart by their device number. */
const device = '/dev/null';

const other = `
  import { holdBus } from ${JSON.stringify(new URL('../../../daemon/hw/i2c/hold.ts', import.meta.url).href)};
  await holdBus(1, ${JSON.stringify(device)}).then(
    () => console.log('held'),
    ({ code, message }) => console.log(code, message),
  );
  setInterval(() => {}, 1000);
`;

t.test('another process', { skip }, async (t) => {
  const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '--eval', other], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  t.equal(line, 'held');
  await t.rejects(holdBus(1, device), {
    code: 'E_HW_IN_USE',
    message: `I2C bus 1 is used by the surfaced process ${child.pid}`,
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const release = await holdBus(1, device);
  await t.rejects(holdBus(1, device), { code: 'E_HW_IN_USE' }, 'in one process too');
  const another = await holdBus(2, '/dev/zero');
  another();
  release();
  const again = await holdBus(1, device);
  again();
});

t.test('a bus that is not there is nobody’s', async (t) => {
  const first = await holdBus(1, '/dev/i2c-that-is-not-there');
  const second = await holdBus(1, '/dev/i2c-that-is-not-there');
  first();
  second();
  t.pass('both');
});
