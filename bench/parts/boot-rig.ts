/**
 * Runs one file in the virtual rig: `node --import=tsx bench/parts/boot-rig.ts FILE TIMEOUT_MS INPUT MAIN`, in the root;
 * MAIN is the compiled `main.js` for a part that starts surfaced, empty when that is to come from source.
 * A process of its own that is always run from source, because the rig's scripts and device tree are not compiled.
 * The kernel is built first when it is missing, which takes minutes. What the file prints is printed here.
 */
import { ensureAdapters } from '../../hil/rig/adapters/build.mjs';
import { bootRig } from '../../hil/rig/boot.ts';
import { ensureKernel } from '../../hil/rig/kernel/build.mjs';

const [file, timeoutMs, input, compiled] = process.argv.slice(2);
if (file === undefined || timeoutMs === undefined || input === undefined || compiled === undefined)
  throw new Error('usage: boot-rig.ts FILE TIMEOUT_MS INPUT MAIN');
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
const adapters = ensureAdapters();
try {
  const { exitCode } = await bootRig({
    kernel: await ensureKernel(),
    program: [process.execPath, '--import=tsx', file],
    environment: {
      SURFACED_CUSE_I2C: adapters['cuse-i2c'],
      SURFACED_QUADRATURE: adapters.quadrature,
      SURFACED_SMBUS_CALLS: adapters['smbus-calls'],
      SURFACED_COMPILED: compiled,
      SURFACED_BENCH_INPUT: input,
    },
    timeoutMs: Number(timeoutMs),
    onOutput: (line) => process.stdout.write(`${line}\n`),
    signal: ending.signal,
  });
  process.exitCode = exitCode;
} catch (error) {
  // Its message is for whoever runs the bench; a stack says no more.
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
