/** A surface is updated and restarted by software, and its TPM is not reset: what ran before stays in the evidence. */
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { Machine } from './attest-machine.ts';
import { AttestSite, failing, verifyAudit } from './attest-site.ts';
import { surfaced } from './processes.ts';

// Nothing takes that long; a machine that others keep busy may.
t.setTimeout(300_000);

t.test('trusted over restarts, until one start was bad', { skip: withoutSwtpm }, async (t) => {
  const site = await AttestSite.make(t, {
    certificateTtlSeconds: 600,
    hosts: null,
    updates: null,
    policy: { signers: ['signing.pem.pub'] },
    surfaces: {},
  });
  const inSite = (name: string): string => path.join(site.folder, name);
  await surfaced('policy', 'key', '--out', inSite('signing.pem'));
  await site.startGateway();
  const desk = await Machine.assemble(t, site, 'desk');
  const main = path.join(desk.folder, 'main.js');

  /** As a unit does it: measures, then starts the device. */
  const start = async (content: string) => {
    await writeFile(main, content);
    await desk.measure(main);
    return desk.startDevice();
  };
  const learn = async (version: string): Promise<void> => {
    const file = inSite(`pi-${version}.yaml`);
    const words = ['--surface', 'desk', '--name', 'pi', '--set-version', version, '--out', file];
    await site.command('policy', 'learn', ...words);
    await surfaced('policy', 'sign', '--key', inSite('signing.pem'), file);
    for (const name of [`pi-${version}.yaml.sig`, `pi-${version}.yaml`])
      await copyFile(inSite(name), inSite(`references/${name}`));
  };

  await start('old\n');
  await site.letIn(desk, 'desk');
  await learn('1');
  await desk.cutPower();
  await desk.powerOn();
  await (await start('new\n')).logged('connected');
  await site.verdictsOnce('desk', (verdicts) => verdicts.length > 1);
  await learn('2');
  const { ekSha256 } = await site.surface('desk');
  await site.command('surfaces', 'approve', 'desk', '--ek', ekSha256 ?? '', '--level', '1', '--policy', 'pi');
  await site.surfaceOnce('desk', ({ level }) => level === 1);

  await t.test('an update, and the way back', async (t) => {
    await desk.cutPower();
    await desk.powerOn();
    for (const [content, version] of [
      ['old\n', 1],
      ['new\n', 2],
      ['new\n', 2],
      ['old\n', 1],
    ] as const) {
      t.match(await (await start(content)).logged('connected'), { attestedLevel: 1 });
      t.match((await site.verdicts('desk')).at(-1), { isTrusted: true, level: 1, reference: { version } });
      await desk.restart();
    }
    const saved = await readFile(desk.savedLog, 'utf8');
    t.equal(saved.split('surfaced-restart').length - 1, 3, 'three restarts are in the copy');
  });

  await t.test('bad software before a restart', async (t) => {
    const before = site.gateway.logLength;
    await start('bad\n');
    await site.gateway.loggedFrom(before, 'enrolment refused', { code: 'E_ENROL_EVIDENCE' });
    await desk.restart();
    const again = site.gateway.logLength;
    await start('new\n');
    const told = await site.gateway.loggedFrom(again, 'enrolment refused', { code: 'E_ENROL_EVIDENCE' });
    t.match(told, { reason: /start 5 of 6 since the TPM was reset: file .*main\.js has the SHA-256/ });
    t.match(await site.surface('desk'), { state: 'failed', level: null });
    await desk.cutPower();
    await desk.powerOn();
    t.match(await (await start('new\n')).logged('connected'), { attestedLevel: 1 }, 'until the power is cut');
  });

  await t.test('the copy is lost', async (t) => {
    await desk.restart();
    await rm(desk.savedLog);
    const { stderr } = await failing(
      surfaced('measure', '--config', desk.deviceFile, '--saved', desk.savedLog, main),
    );
    t.match(stderr, /E_MEASURE/);
    t.match(stderr, /Cut the power/);
    const before = site.gateway.logLength;
    desk.startDevice();
    await site.gateway.loggedFrom(before, 'enrolment refused', { code: 'E_ENROL_EVIDENCE' });
    await desk.cutPower();
    await desk.powerOn();
    t.match(await (await start('new\n')).logged('connected'), { attestedLevel: 1 });
  });

  await site.gateway.end('SIGTERM');
  t.match(await verifyAudit(site.auditFolder), { isSound: true, faults: [] });
});
