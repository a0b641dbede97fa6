/** Judges the cases in a folder and prints what that took; see memory.test.ts. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { firstFailure } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { caseOf, referencesOf, rulesOf } from './world.ts';

const [folder = '', ...names] = process.argv.slice(2);
const read = (name: string) => {
  try {
    return readFileSync(path.join(folder, name));
  } catch {
    return null;
  }
};
const cases = names.map((name) => {
  const pcrs = read(`${name}.pcrs`) ?? Buffer.alloc(0);
  const values = Array.from({ length: pcrs.length / 32 }, (_, pcr) => pcrs.subarray(pcr * 32, pcr * 32 + 32));
  const logs = {
    firmware: read(`${name}.firmware`),
    ima: read(`${name}.ima`),
    measured: read(`${name}.measured`),
    systemd: read(`${name}.systemd`),
  };
  return { logs, pcrs: new Map(values.entries()) };
});

/** Reads every record and holds none, as a policy does. */
const references = {
  ...referencesOf(),
  match: ({ firmware, measured, systemd, ima }: Parameters<ReturnType<typeof referencesOf>['match']>[0]) => {
    for (const log of [firmware, measured, systemd, ima]) for (const _ of log ?? []);
    return {
      isMatch: true as const,
      reference: { name: 'x', version: 1, sha256: '' },
      covers: { files: true, firmwareGap: null, ima: true },
    };
  },
};
const rules = rulesOf({ assertedLevel: 0, requiredLevel: 0, references });
verify(caseOf(), rules);
const subjects = cases.map(caseOf);
globalThis.gc?.();

/** Highest resident set since {@link forgetPeak}, bytes (proc(5)). */
const peak = (): number =>
  1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? Number.NaN);
/** What loading the program took at its highest is no concern of the verifier. */
const forgetPeak = (): void => writeFileSync('/proc/self/clear_refs', '5');

const rows = subjects.map((subject) => {
  forgetPeak();
  const { rss, arrayBuffers } = process.memoryUsage();
  const start = process.cpuUsage();
  const verdict = verify(subject, rules);
  const { user, system } = process.cpuUsage(start);
  return {
    failed: firstFailure(verdict)?.name ?? null,
    cpuMs: (user + system) / 1000,
    bufferGrowth: process.memoryUsage().arrayBuffers - arrayBuffers,
    residentGrowth: peak() - rss,
  };
});
process.stdout.write(JSON.stringify(rows));
