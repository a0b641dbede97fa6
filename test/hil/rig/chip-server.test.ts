import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { ensureAdapter } from '../../../hil/rig/adapters/build.mjs';
import { SimBus } from '../../../hil/sim/chips/bus.ts';
import { Mcp23017Model } from '../../../hil/sim/chips/mcp23017.ts';
import { ChipServer } from '../../../hil/sim/chips/server.ts';
import { shimMissing } from './shim.ts';

const here = path.dirname(fileURLToPath(import.meta.url));

t.test('the adapter and the server of the chip models speak the same', { skip: shimMissing() }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-server-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const socket = path.join(folder, 'chips');
  const bus = new SimBus({ now: () => performance.now(), clockHz: 400_000, random: () => 0.5 });
  bus.plug(0x20, new Mcp23017Model(() => 0.5));
  const server = new ChipServer(new Map([[1, bus]]));
  await server.listen(socket);
  t.teardown(() => server.close());

  const call = async (number: number, ...calls: unknown[]) => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [path.join(here, 'i2c-calls.cjs'), String(number), JSON.stringify(calls)],
      {
        env: {
          ...process.env,
          LD_PRELOAD: ensureAdapter('i2c-shim.so'),
          SURFACED_I2C_SHIM: socket,
          SURFACED_I2C_BUSES: '1,3',
        },
      },
    );
    return stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
  };
  // MCP23017 datasheet, table 3-5: IODIRA and IODIRB are 0xff after power-on.
  const [read, written, back, absent] = await call(
    1,
    ['readI2cBlockSync', 0x20, 0x00, 2],
    ['writeByteSync', 0x20, 0x0c, 0x0f],
    ['readByteSync', 0x20, 0x0c],
    ['readByteSync', 0x21, 0],
  );
  t.same([read, written, back], ['ffff', null, 0x0f]);
  t.match(absent, { error: /Remote I\/O error/ });
  t.match(await call(3, ['readByteSync', 0x20, 0]), [{ error: /No such device or address/ }], 'no such bus');
  t.same([...bus.protocolErrors, ...server.protocolErrors], []);
});
