/**
 * Runs inside the rig: attestation by a TPM of the kernel. `surfaced measure`, `surfaced device` and `surfaced doctor` have
 * it as they have a chip, through /dev/tpmrm0; the gateway is in this process.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { stringify } from 'yaml';
import { firstFailure } from '../../../daemon/attest/verifier/verdict.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { approveIn, keyWithCode } from '../../../daemon/commands/approve.ts';
import { defaultAreaMs, examine } from '../../../daemon/commands/doctor.ts';
import { systemNetwork } from '../../../daemon/commands/doctor-gateway.ts';
import { loadConfig } from '../../../daemon/config/load.ts';
import { apiVersion } from '../../../daemon/config/schema.ts';
import { startGateway } from '../../../daemon/gateway.ts';
import { systemMachine } from '../../../daemon/hw/doctor/system.ts';
import { silentLog } from '../../../daemon/log.ts';
import { withoutSwtpm } from '../../software-tpm.ts';
import { KernelTpm } from '../guest/kernel-tpm.ts';
import { Program } from '../guest/program.ts';
import { surfacedIn } from '../guest/surfaced.ts';

if (process.env.SURFACED_RIG !== '1') throw new Error('This runs inside the rig only; see hil/rig/boot.ts');

// One after the other: all have the same TPM.
t.jobs = 1;
// Programs take seconds to start here.
t.setTimeout(270_000);

const surface = 'desk';
const policy = 'rig';
const pcr = 14;
const surfaced = surfacedIn(process.env);
const folder = mkdtempSync(path.join(tmpdir(), 'attest-'));
const inFolder = (name: string): string => path.join(folder, name);
const deviceFile = inFolder('surfaced.yaml');
const measuredLog = inFolder('run/measure.log');
const program = inFolder('effects.js');

interface Measured {
  readonly records: readonly { readonly path: string; readonly sha256: string; readonly isNew: boolean }[];
  readonly values: { readonly sha256: Readonly<Record<string, string>> };
}

/** What the unit of the device does before it starts. */
async function measure(): Promise<Measured> {
  const [node = '', ...words] = surfaced('measure', '--config', deviceFile, program, '-o', 'json');
  return JSON.parse((await promisify(execFile)(node, words)).stdout) as Measured;
}

/** The PCR as the kernel reads it. */
const kernelPcr = (): string =>
  readFileSync(`/sys/class/tpm/tpm0/pcr-sha256/${pcr}`, 'utf8').trim().toLowerCase();

const startDevice = (): Program => new Program(surfaced('device', '--config', deviceFile));

t.test('by a TPM of the kernel', { skip: withoutSwtpm }, async (t) => {
  const tpm = await KernelTpm.begin();
  t.teardown(() => tpm.cutPower());
  await writeFile(program, 'export {}\n');
  await mkdir(inFolder('surfaces'));
  await mkdir(inFolder('references'));
  await writeFile(
    inFolder('gateway.yaml'),
    stringify({
      apiVersion,
      kind: 'Gateway',
      stateDir: 'state',
      enrol: { listen: '127.0.0.1:0', certificateTtlSeconds: 60 },
      broker: { listen: '127.0.0.1:0' },
      registry: { folder: 'surfaces' },
      policy: { references: 'references', acceptUnsigned: true },
      cluster: { kubeconfig: 'kubeconfig' },
    }),
  );
  // Nobody listens there: what a surface may do in a cluster is not the matter here.
  await writeFile(
    inFolder('kubeconfig'),
    stringify({
      clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'none', user: { token: 'none' } }],
      contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
      'current-context': 'none',
    }),
  );
  const gateway = await startGateway({
    config: await loadConfig('Gateway', inFolder('gateway.yaml')),
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  t.teardown(() => gateway.stop());
  await writeFile(
    deviceFile,
    stringify({
      apiVersion,
      kind: 'Device',
      gateway: { url: `https://127.0.0.1:${gateway.enrolPort}`, caPin: gateway.caPin },
      // The TPM is where it is when nothing is said.
      identity: { tpm: { measuredLog } },
      panel: { preset: 'mackie-control', port: { type: 'pty', path: inFolder('no-panel') } },
    }),
  );

  /** Resolves when the gateway holds the surface to be in this state. */
  async function becomes(state: string): Promise<void> {
    const isSo = (): boolean => gateway.trust.of(surface)?.state === state;
    if (!isSo()) await new Promise<void>((resolve) => gateway.trust.onChange(() => isSo() && resolve()));
  }

  const { records, values } = await measure();
  let device = startDevice();
  t.teardown(() => device.end('SIGKILL'));

  await t.test('measured, approved by its code, trusted', async (t) => {
    t.match(records, [
      { path: deviceFile, isNew: true },
      { path: program, isNew: true },
    ]);
    t.equal(values.sha256[pcr], kernelPcr(), `the kernel says the same of PCR ${pcr}`);
    await writeFile(
      inFolder('references/rig-1.yaml'),
      stringify({
        apiVersion,
        kind: 'ReferenceSet',
        metadata: { name: policy, version: 1 },
        spec: { files: records.map((record) => ({ path: record.path, sha256: [record.sha256] })) },
      }),
    );
    const told = 'the gateway does not know this surface yet: compare the code and let it in';
    const code = String((await device.logged(told)).code);
    const ekSha256 = keyWithCode(gateway.trust.quarantine(), code);
    await approveIn(gateway.registryFolder, {
      name: surface,
      ekSha256,
      level: 1,
      policy,
      isReplacing: false,
    });
    t.match(await device.logged('connected'), { surface, trust: 'tpm', attestedLevel: 1 });
    t.match(gateway.trust.of(surface), { state: 'trusted', level: 1, reference: { version: 1 } });
  });

  await t.test('the doctor finds the TPM, beside the device that uses it', async (t) => {
    const { checks, found } = await examine(deviceFile, {
      machine: await systemMachine(),
      network: systemNetwork,
      tellProgress: (line) => t.comment(line),
      areaMs: defaultAreaMs,
    });
    const tpmChecks = checks.filter(({ area }) => area === 'tpm');
    for (const check of tpmChecks) t.comment(`${check.result}: ${check.name}: ${check.found}`);
    t.equal(found.tpm, tpm.device);
    t.match(Object.fromEntries(tpmChecks.map(({ name, result, found }) => [name, `${result}: ${found}`])), {
      device: `ok: ${tpm.device}`,
      answers: /^ok: IBM SW +TPM/,
      lockout: /^ok: not locked, 0 /,
      banks: /^ok: .*sha256/,
      'EK certificate': /^warning: none that fits/,
      boot: /^ok: PCR 0 to 9 are all zero/,
      measured: `ok: 2 records, as PCR ${pcr} holds them`,
    });
  });

  await t.test('its certificate is renewed with new evidence', async (t) => {
    await device.loggedTimes('certificate received', 2);
    await device.loggedTimes('connected', 2);
    t.match(await gateway.trust.verdictOf(surface), { isTrusted: true, epoch: 'same', level: 1 });
    t.notMatch(device.log(), '"connection lost"');
  });

  await t.test('the TPM is reset under a machine that goes on: nothing is believed any more', async (t) => {
    await device.end('SIGTERM');
    await tpm.reset();
    device = startDevice();
    await becomes('failed');
    const verdict = await gateway.trust.verdictOf(surface);
    t.match(verdict, { isTrusted: false, epoch: 'new' });
    t.match(verdict && firstFailure(verdict), { name: 'measured-log' });
    t.comment(verdict && firstFailure(verdict)?.reason);
    await t.rejects(measure(), { stderr: /E_MEASURE/, message: /it was reset while the machine went on/ });
    t.match(kernelPcr(), /^0+$/, 'what was measured is not put back');
  });

  await t.test('its power is cut: measured again, it comes back by itself', async (t) => {
    await device.end('SIGKILL');
    await tpm.cutPower();
    // It is in memory.
    await rm(path.dirname(measuredLog), { recursive: true });
    await tpm.powerOn();
    await measure();
    device = startDevice();
    t.match(await device.logged('connected'), { surface, attestedLevel: 1 });
    t.match(await gateway.trust.verdictOf(surface), { isTrusted: true, epoch: 'new' });
  });
});
