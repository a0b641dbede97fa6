/**
 * Runs one file in a kernel of its own: `node --import=tsx hil/rig/run-file.ts FILE`. What the file prints in the rig,
 * TAP, is printed here, and its exit code is this one's. What a scenario runs of `surfaced` comes from source, which takes
 * seconds to start in the rig, unless SURFACED_COMPILED names a `main.js` that is up to date, as `npm run hil` does.
 */
import { ensureAdapters } from './adapters/build.mjs';
import { bootRig, guestNode } from './boot.ts';
import { ensureKernel } from './kernel/build.mjs';
import { rigMissing } from './missing.ts';

/** Longest run of one file, from the kernel's start to its end; a few seconds are usual. */
const timeoutMs = 280_000;

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('which file? usage: run-file.ts FILE');
const missing = rigMissing();
if (missing !== null) throw new Error(missing);
const adapters = ensureAdapters();
const { SURFACED_COMPILED: compiled = '', SURFACED_SEED: seed } = process.env;
console.log(`# surfaced runs ${compiled === '' ? 'from source' : `as compiled: ${compiled}`}`);
// Whoever ends this, a person or a time limit, ends the kernel and its folder with it.
const ended = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => ended.abort(new Error(`ended by ${name}`)));
const { exitCode } = await bootRig({
  kernel: await ensureKernel(),
  program: [...guestNode, '--import=tsx', file],
  environment: {
    SURFACED_CUSE_I2C: adapters['cuse-i2c'],
    SURFACED_QUADRATURE: adapters.quadrature,
    SURFACED_SMBUS_CALLS: adapters['smbus-calls'],
    SURFACED_COMPILED: compiled,
    ...(seed === undefined ? {} : { SURFACED_SEED: seed }),
    // Seconds; tap's own 30 are too few for a kernel that shares two processors.
    TAP_TIMEOUT: '240',
  },
  timeoutMs,
  onOutput: (line) => process.stdout.write(`${line}\n`),
  signal: ended.signal,
});
process.exitCode = exitCode;
