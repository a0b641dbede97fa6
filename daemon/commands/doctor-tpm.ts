/** `surfaced doctor`, the TPM: what it is, how it does, and what its measurements can prove. Extends and stores nothing. */
import { constants } from 'node:fs';
import { readCertificate } from '../attest/certificates/certificate.ts';
import { ekPublicSha256 } from '../attest/certificates/public-key.ts';
import { findEndorsement } from '../attest/evidence/endorsement.ts';
import { type LogName, logNames, mostWholeLogBytes } from '../attest/evidence/evidence.ts';
import { readLog } from '../attest/evidence/log-sources.ts';
import { logStart } from '../attest/logs/log.ts';
import { registersOf } from '../attest/measure/registers.ts';
import { readLog as readMeasureLog, standingOf } from '../attest/measure/standing.ts';
import { openTpm, tpmProblem } from '../attest/open-tpm.ts';
import {
  type Executor,
  hashOf,
  isHash,
  pcrBanks,
  propertiesFrom,
  property,
  type Scope,
  statusOf,
} from '../attest/tpm2/index.ts';
import { type DeviceConfig, deviceSchema, type TpmConfig } from '../config/schema.ts';
import { errorTable, SurfacedError } from '../errors.ts';
import type { LookContext } from '../hw/doctor/context.ts';
import { lookAtTpm as lookForTpm } from '../hw/doctor/devices.ts';
import { fileOf, isThere, type Machine, mayUse, permissionRemedy } from '../hw/doctor/machine.ts';
import { type Check, checksOf, type Look, messageOf } from '../hw/doctor/report.ts';
import { silentLog } from '../log.ts';

type TpmIdentity = NonNullable<NonNullable<DeviceConfig['identity']>['tpm']>;

const { ok, warning, fault, skipped } = checksOf('tpm');
const usualDevice = '/dev/tpmrm0';

/** Looks at the TPM that a config names, or that is there. Rejects never, but for defects. */
export async function lookAtTpm(context: LookContext, wanted: TpmIdentity | null): Promise<Look> {
  const { machine } = context;
  const place = wanted === null ? await lookForTpm(context) : await placeOf(machine, wanted);
  const name = place.found.tpm ?? null;
  if (name === null || place.checks.some(({ result }) => result !== 'ok')) return place;
  const where: TpmConfig =
    wanted?.swtpm === undefined && wanted?.mssim === undefined ? { device: fileOf(machine, name) } : wanted;
  const tpm = openTpm(where);
  try {
    const checks = await tpm.scope((scope) => examined(scope, machine, wanted));
    return { checks: [...place.checks, ...checks], found: place.found };
  } catch (problem) {
    const error = tpmProblem(problem, 'asking the TPM');
    if (!(error instanceof SurfacedError)) throw error;
    const say = wanted === null ? warning : fault;
    return { checks: [...place.checks, say('answers', error.message, error.remedy)], found: place.found };
  } finally {
    await tpm.close();
  }
}

/** A surface that attests does not do without its TPM. */
async function placeOf(machine: Machine, { device, swtpm, mssim }: TpmIdentity): Promise<Look> {
  const software = swtpm ?? mssim;
  if (software !== undefined) {
    const note = `${software}: a software TPM, which proves nothing about this machine`;
    return { checks: [ok('device', note)], found: { tpm: software } };
  }
  const path = device ?? usualDevice;
  const look = (check: Check): Look => ({ checks: [check], found: { tpm: path } });
  if (!(await isThere(machine, path)))
    return look(fault('device', `there is no ${path}`, errorTable.E_TPM_OPEN.remedy));
  if (await mayUse(machine, path)) return look(ok('device', path));
  const found = `${machine.user.name} may not use ${path}`;
  return look(fault('device', found, await permissionRemedy(machine, path, 'tss')));
}

async function examined(scope: Scope, machine: Machine, wanted: TpmIdentity | null): Promise<Check[]> {
  const logs = wanted ?? usualIdentity();
  const read = await readLogs(machine, logs, wanted !== null);
  const { isZero, hasSha256, checks } = await lookAtBanks(scope);
  return [
    ...(await lookAtStatus(scope)),
    ...checks,
    await lookAtEndorsement(scope),
    ...(hasSha256 ? lookAtBoot(isZero, read.logs.ima?.length ?? 0) : []),
    ...read.checks,
    ...(await lookAtMeasured(scope, read.logs.measured)),
  ];
}

function usualIdentity(): TpmIdentity {
  const tpm = deviceSchema.shape.identity.parse({ tpm: {} })?.tpm;
  if (tpm === undefined) throw new Error('an identity with a TPM has one');
  return tpm;
}

async function lookAtStatus(executor: Executor): Promise<Check[]> {
  const { manufacturer, vendor, firmware, lockout } = await statusOf(executor);
  const { counter, most, isLocked } = lockout;
  const interval = (await propertiesFrom(executor, 0x200)).get(property.lockoutInterval) ?? 0;
  const count = `${counter} of ${most} wrong authorizations`;
  const seconds = (counter - most + 1) * interval;
  return [
    ok('answers', `${[manufacturer, vendor].join(' ').trim()}, firmware ${firmware}`),
    isLocked
      ? warning(
          'lockout',
          `locked after ${count}; it ends by itself in ${seconds} s of uninterrupted power at most`,
          'Wait, or reset it: `tpm2_dictionarylockout --clear-lockout`. The keys of surfaced are not subject to it; those of others are.',
        )
      : ok('lockout', `not locked, ${count}`),
  ];
}

async function lookAtBanks(executor: Executor) {
  const banks = await pcrBanks(executor);
  const names = banks.map(({ hash }) => (isHash(hash) ? hashOf(hash).name : `0x${hash.toString(16)}`));
  const hasSha256 = names.includes('sha256');
  const values = hasSha256
    ? (
        await registersOf(
          executor,
          Array.from({ length: 11 }, (_, pcr) => pcr),
          ['sha256'],
        )
      ).get('sha256')
    : undefined;
  const isZero = (pcr: number): boolean => values?.get(pcr)?.every((byte) => byte === 0) ?? false;
  const check = hasSha256
    ? ok('banks', names.join(', '))
    : fault(
        'banks',
        `sha256 is not among them: ${names.join(', ') || 'none'}`,
        'Allocate it, then restart: `tpm2_pcrallocate sha256:all`.',
      );
  return { isZero, hasSha256, checks: [check] };
}

async function lookAtEndorsement(scope: Scope): Promise<Check> {
  try {
    const { key, certificate, chain } = await findEndorsement(scope, silentLog);
    const ekSha256 = ekPublicSha256(key.publicArea);
    if (certificate === null)
      return warning(
        'EK certificate',
        `none that fits; the endorsement key is ${ekSha256}`,
        'The gateway cannot tell by itself that this is a hardware TPM: compare the pairing code when you approve it, and leave `policy.ekCertificate: optional`.',
      );
    const { issuer, notAfter } = readCertificate(certificate);
    const end = new Date(notAfter).toISOString().slice(0, 10);
    const more = chain.length === 0 ? '' : `, and ${chain.length} certificates of its chain`;
    return ok('EK certificate', `by ${issuer.text}, until ${end}${more}; the endorsement key is ${ekSha256}`);
  } catch (problem) {
    const error = tpmProblem(problem, 'making the endorsement key');
    if (!(error instanceof SurfacedError)) throw error;
    return fault('EK certificate', error.message, error.remedy);
  }
}

function lookAtBoot(isZero: (pcr: number) => boolean, imaBytes: number): Check[] {
  const extended = Array.from({ length: 10 }, (_, pcr) => pcr).filter((pcr) => !isZero(pcr));
  const boot =
    extended.length === 0
      ? 'PCR 0 to 9 are all zero: nothing measures the boot, level 0 or 1 is what can be claimed'
      : `PCR ${extended.join(', ')} ${extended.length === 1 ? 'was' : 'were'} extended`;
  if (imaBytes === 0)
    return [ok('boot', boot), skipped('IMA', 'the kernel measures nothing, or its list is not there', null)];
  return [
    ok('boot', boot),
    isZero(10)
      ? warning(
          'IMA',
          'not anchored: its list has entries and PCR 10 is zero, so the TPM was not ready when it began (TPM bypass)',
          'Use a kernel with the drivers of TPM and SPI built in; until then the list proves nothing.',
        )
      : ok('IMA', `${imaBytes} bytes of measurements, and PCR 10 was extended`),
  ];
}

interface ReadLogs {
  readonly logs: Readonly<Partial<Record<LogName, Buffer>>>;
  readonly checks: readonly Check[];
}

/** Reads them as the prover does, so that what fails here would fail there. */
async function readLogs(machine: Machine, identity: TpmIdentity, isWanted: boolean): Promise<ReadLogs> {
  const { firmwareLog: firmware, imaLog: ima, measuredLog: measured, systemdLog: systemd } = identity;
  const paths: Readonly<Record<LogName, string>> = { firmware, ima, measured, systemd };
  const logs: Partial<Record<LogName, Buffer>> = {};
  const there: string[] = [];
  const checks: Check[] = [];
  for (const name of logNames) {
    const path = fileOf(machine, paths[name]);
    const { signal } = new AbortController();
    try {
      if (!(await machine.isAllowed(path, constants.R_OK)) && (await isThere(machine, paths[name])))
        throw new SurfacedError('E_ATTEST_LOG', `${machine.user.name} may not read ${paths[name]}`);
      const part = await readLog({ name, path, from: logStart, mostBytes: mostWholeLogBytes, signal });
      if (part === null) continue;
      logs[name] = Buffer.from(part.bytes);
      there.push(`${name} ${part.bytes.length} bytes`);
    } catch (error) {
      const say = isWanted ? fault : warning;
      const remedy =
        'Let the group of surfaced read it after every start of the machine (`chgrp`, `chmod g+r`), or look as root.';
      checks.push(say(`${name} log`, messageOf(error), remedy));
    }
  }
  const list = there.join(', ');
  return {
    logs,
    checks: [list === '' ? skipped('logs', 'there are none', null) : ok('logs', list), ...checks],
  };
}

/** Whether the log of `surfaced measure` says what the PCRs hold. */
async function lookAtMeasured(executor: Executor, bytes: Buffer | undefined): Promise<Check[]> {
  if (bytes === undefined || bytes.length === 0) return [];
  try {
    const { records } = readMeasureLog(bytes, true);
    const [first] = records;
    const pcr = first?.pcr ?? null;
    if (pcr === null) return [];
    const pcrs = [...new Set(records.flatMap((record) => record.pcr ?? []))];
    const registers = await registersOf(executor, pcrs, ['sha256']);
    const standing = standingOf({ records, registers, pcr, marked: null });
    if (standing.kind === 'extended')
      return [ok('measured', `${records.length} records, as PCR ${pcrs.join(', ')} holds them`)];
    const found =
      standing.kind === 'reset'
        ? 'the TPM was reset while the machine went on: it has none of the measurements'
        : `the log is not what PCR ${standing.pcr} holds`;
    const remedy =
      'Run `surfaced measure` again, which completes what was interrupted; else cut the power for a moment.';
    return [fault('measured', found, remedy)];
  } catch (error) {
    if (!(error instanceof SurfacedError)) throw error;
    return [fault('measured', error.message, error.remedy)];
  }
}
