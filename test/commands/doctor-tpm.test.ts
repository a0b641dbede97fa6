import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { measure } from '../../daemon/attest/measure/measure.ts';
import {
  algorithm,
  define,
  extendPcr,
  handle,
  pcrBanks,
  pcrSelections,
  permanent,
  Tpm,
  u32,
  yesNo,
} from '../../daemon/attest/tpm2/index.ts';
import { swtpm } from '../../daemon/attest/tpm2/transports/swtpm.ts';
import { examine, exitCodeOf } from '../../daemon/commands/doctor.ts';
import { lookAtTpm } from '../../daemon/commands/doctor-tpm.ts';
import { deviceSchema } from '../../daemon/config/schema.ts';
import { SoftwareTpm } from '../../hil/software-tpm.ts';
import { lockOut } from '../attest/lock-out.ts';
import { live } from '../attest/tpm2/live/live.ts';
import { withoutSwtpm } from '../attest/tpm2/live/swtpm.ts';
import { checkOf, MadeUpMachine } from '../hw/doctor/made-up.ts';

const identity = (tpm: object) => {
  const wanted = deviceSchema.shape.identity.parse({ tpm })?.tpm;
  if (wanted === undefined) throw new Error('it was given');
  return wanted;
};

/** Looks at a software TPM; a client that waits for its answer must not be connected beside. */
async function look(made: MadeUpMachine, chip: SoftwareTpm, tpm: Tpm) {
  await tpm.close();
  return lookAtTpm(made.context(null), identity({ swtpm: chip.path }));
}

live('a TPM that is well, of a machine that measures nothing', async (t, { chip, tpm }) => {
  const report = await look(new MadeUpMachine(t), chip, tpm);
  t.same(
    report.checks.map(({ name, result }) => `${name} ${result}`),
    [
      'device ok',
      'answers ok',
      'lockout ok',
      'banks ok',
      'EK certificate ok',
      'boot ok',
      'IMA skipped',
      'logs skipped',
    ],
  );
  t.equal(report.found.tpm, chip.path);
  t.match(checkOf(report, 'answers').found, /^IBM SW {3}TPM, firmware \d+\.\d+\.\d+\.\d+$/);
  t.match(checkOf(report, 'banks').found, 'sha1, sha256');
  t.match(
    checkOf(report, 'EK certificate').found,
    /^by .*CN=.*until \d{4}-.*endorsement key is [0-9a-f]{64}$/,
  );
  t.match(checkOf(report, 'boot').found, /^PCR 0 to 9 are all zero: .* level 0 or 1 is what can be claimed$/);
});

live('what was measured, and what the log says of it', async (t, { chip, tpm }) => {
  const made = new MadeUpMachine(t).put('/file', 'content');
  const log = path.join(made.root, 'run/surfaced/measure.log');
  await measure(
    { names: [path.join(made.root, 'file')], pcr: 14, log, saved: null, tpm },
    new AbortController().signal,
  );
  const well = await look(made, chip, tpm);
  t.match(checkOf(well, 'measured'), { result: 'ok', found: '1 records, as PCR 14 holds them' });
  t.match(checkOf(well, 'logs'), { result: 'ok', found: /^measured \d+ bytes$/ });

  await extendPcr(tpm, 14, [{ hash: algorithm.sha256, digest: randomBytes(32) }]);
  await extendPcr(tpm, 7, [{ hash: algorithm.sha256, digest: randomBytes(32) }]);
  const other = await look(made, chip, tpm);
  t.match(checkOf(other, 'measured'), {
    result: 'fault',
    found: /not what PCR 14 holds/,
    remedy: /cut the power/,
  });
  t.match(checkOf(other, 'boot').found, /^PCR 7 was extended$/);

  const records = readFileSync(log);
  writeFileSync(log, `${records}nonsense\n`);
  t.match(checkOf(await look(made, chip, tpm), 'measured'), { result: 'fault', found: /not JSON/ });
  writeFileSync(log, records);
  await chip.cutPower();
  await chip.start();
  t.match(checkOf(await look(made, chip, tpm), 'measured'), { result: 'fault', found: /^the TPM was reset/ });
});

live('IMA that began before the TPM was there', async (t, { chip, tpm }) => {
  const made = new MadeUpMachine(t).put('/sys/kernel/security/ima/binary_runtime_measurements', 'entries');
  const bypassed = await look(made, chip, tpm);
  t.match(checkOf(bypassed, 'IMA'), { result: 'warning', found: /TPM bypass/, remedy: /built in/ });
  await extendPcr(tpm, 10, [{ hash: algorithm.sha256, digest: randomBytes(32) }]);
  t.match(checkOf(await look(made, chip, tpm), 'IMA'), { result: 'ok', found: /^7 bytes/ });
});

live('a log that may not be read', async (t, { chip, tpm }) => {
  const file = '/sys/kernel/security/tpm0/binary_bios_measurements';
  const made = new MadeUpMachine(t).put(file, 'events');
  made.forbidden.add(file);
  const report = await look(made, chip, tpm);
  t.match(checkOf(report, 'firmware log'), {
    result: 'fault',
    found: /may not read .*measurements/,
    remedy: /group/,
  });
});

live('lockout', async (t, { chip, tpm }) => {
  await lockOut(tpm);
  const report = await look(new MadeUpMachine(t), chip, tpm);
  t.match(checkOf(report, 'lockout'), {
    result: 'warning',
    found: /^locked after 3 of 3 wrong authorizations; it ends by itself in 1000 s/,
    remedy: /tpm2_dictionarylockout --clear-lockout/,
  });
  t.equal(checkOf(report, 'EK certificate').result, 'ok', 'everything else goes on');
});

/** A TPM that is not the usual one, turned on for a test. */
async function withChip(t: Test, work: (chip: SoftwareTpm, tpm: Tpm) => Promise<void>): Promise<void> {
  const chip = await SoftwareTpm.begin({ listensOn: 'unix', state: null });
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  try {
    await work(chip, tpm);
  } finally {
    await tpm.close();
    await chip.end();
  }
  t.ok(true, 'it is turned off');
}

/** TPM2_PCR_Allocate (Part 3, section 22.5), which nothing but this test needs. */
const pcrAllocate = define({
  name: 'TPM2_PCR_Allocate',
  code: 0x12b,
  handles: ['authHandle'],
  authorized: 1,
  parameters: { pcrAllocation: pcrSelections },
  result: { allocationSuccess: yesNo, maxPCR: u32, sizeNeeded: u32, sizeAvailable: u32 },
});

/** From the next start on there is the SHA-1 bank alone. */
async function withoutSha256(tpm: Tpm): Promise<void> {
  const pcrs = Array.from({ length: 24 }, (_, pcr) => pcr);
  const pcrAllocation = [
    { hash: algorithm.sha1, pcrs },
    { hash: algorithm.sha256, pcrs: [] },
  ];
  const authHandle = permanent(handle.platform);
  await tpm.execute(pcrAllocate, { handles: { authHandle }, parameters: { pcrAllocation } });
}

t.test('a TPM without certificate, and without SHA-256', { skip: withoutSwtpm }, async (t) => {
  await withChip(t, async (chip, tpm) => {
    const made = new MadeUpMachine(t);
    const report = await look(made, chip, tpm);
    t.match(checkOf(report, 'EK certificate'), {
      result: 'warning',
      found: /^none that fits/,
      remedy: /pairing/,
    });
    await withoutSha256(tpm);
    await tpm.close();
    await chip.cutPower();
    await chip.start();
    t.notOk((await pcrBanks(tpm)).some(({ hash }) => hash === algorithm.sha256));
    const bare = await look(made, chip, tpm);
    t.match(checkOf(bare, 'banks'), {
      result: 'fault',
      found: /sha256 is not among them: sha1/,
      remedy: /pcrallocate/,
    });
    t.notOk(bare.checks.some(({ name }) => name === 'boot'));
  });
});

t.test('no TPM where the config names one', async (t) => {
  const made = new MadeUpMachine(t);
  const absent = await lookAtTpm(made.context(null), identity({}));
  t.match(absent.checks, [{ result: 'fault', found: 'there is no /dev/tpmrm0', remedy: /dtoverlay=tpm/ }]);
  t.match((await lookAtTpm(made.context(null), null)).checks, [{ result: 'skipped' }], 'without a config');
  made.put('/dev/tpmrm1');
  made.forbidden.add('/dev/tpmrm1');
  const forbidden = await lookAtTpm(made.context(null), identity({ device: '/dev/tpmrm1' }));
  t.match(forbidden.checks, [{ result: 'fault', found: /may not use \/dev\/tpmrm1/, remedy: /tss/ }]);
  const silent = await lookAtTpm(made.context(null), identity({ swtpm: path.join(made.root, 'none') }));
  t.match(silent.checks, [
    { result: 'ok' },
    { name: 'answers', result: 'fault', found: /^asking the TPM: / },
  ]);
});

live('as part of the whole report', async (t, { chip, tpm }) => {
  await tpm.close();
  const made = new MadeUpMachine(t).bus(1, 'bcm2835 (i2c@7e804000)').chip('gpiochip0', {});
  const panel = { preset: 'parts', parts: [{ part: 'gpio-encoder', name: 'knob', a: 5, b: 6 }] };
  const config = {
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'Device',
    identity: { tpm: { swtpm: chip.path } },
    panel,
  };
  made.put('/etc/surfaced.yaml', JSON.stringify(config));
  const network = {
    addresses: () => [],
    lookup: async () => [],
    connect: async () => {},
    checkPin: async () => {},
  };
  const { machine } = made;
  const io = { machine, network, tellProgress: () => {}, areaMs: 20_000 };
  const report = await examine(path.join(made.root, 'etc/surfaced.yaml'), io);
  t.equal(checkOf(report, 'EK certificate').area, 'tpm');
  t.equal(report.found.tpm, chip.path);
  t.equal(exitCodeOf(report), 0);
});
