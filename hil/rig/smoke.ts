/**
 * Tries everything that the rig promises, each thing once, with the product's own ways to the kernel:
 * `npx tsx hil/rig/smoke.ts` boots the kernel and runs this file again inside it, which prints TAP.
 */
import { fileURLToPath } from 'node:url';
import { ensureAdapters } from './adapters/build.mjs';
import { bootRig, type RigOutcome } from './boot.ts';
import { runChecks } from './guest/smoke-checks.ts';
import { ensureKernel } from './kernel/build.mjs';

/** Boots the rig on the checks; the outcome's output is TAP. */
export async function runSmoke(
  onOutput: (line: string) => void,
  signal: AbortSignal | null,
): Promise<RigOutcome> {
  const adapters = ensureAdapters();
  return bootRig({
    kernel: await ensureKernel(),
    program: [process.execPath, '--import=tsx', fileURLToPath(import.meta.url)],
    environment: {
      SURFACED_CUSE_I2C: adapters['cuse-i2c'],
      SURFACED_QUADRATURE: adapters.quadrature,
      SURFACED_SMBUS_CALLS: adapters['smbus-calls'],
    },
    timeoutMs: 120_000,
    onOutput,
    signal,
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.env.SURFACED_RIG === '1') process.exitCode = await runChecks(process.env);
  else process.exitCode = (await runSmoke((line) => console.log(line), null)).exitCode;
}
