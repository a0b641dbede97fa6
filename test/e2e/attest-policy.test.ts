/** Reference sets come and go under a surface that is online: learned, signed, rolled out, withdrawn. */
import { createHash } from 'node:crypto';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { parse, stringify } from 'yaml';
import type { ReferenceSet } from '../../daemon/config/schema.ts';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { Machine } from './attest-machine.ts';
import { AttestSite, verifyAudit } from './attest-site.ts';
import { surfaced } from './processes.ts';

// Nothing takes that long; a machine that others keep busy may.
t.setTimeout(300_000);

const application = ['console.log(1)\n', 'console.log(2)\n'] as const;

t.test('an update is rolled out, withdrawn and put back', { skip: withoutSwtpm }, async (t) => {
  const policy = { signers: ['signing.pem.pub'] };
  const site = await AttestSite.make(t, {
    certificateTtlSeconds: 600,
    hosts: null,
    updates: null,
    policy,
    surfaces: {},
  });
  const inSite = (name: string): string => path.join(site.folder, name);
  await surfaced('policy', 'key', '--out', inSite('signing.pem'));
  await site.startGateway();
  const gateway = site.gateway;
  const desk = await Machine.assemble(t, site, 'desk');
  const main = path.join(desk.folder, 'main.js');
  await writeFile(main, application[0]);
  await desk.measure(main);
  const device = desk.startDevice();
  await site.letIn(desk, 'desk');

  /** Signs a set and gives it to the gateway, the signature first. */
  const publish = async (name: string): Promise<void> => {
    for (const file of [`${name}.sig`, name]) await copyFile(inSite(file), inSite(`references/${file}`));
  };
  const withdraw = (name: string): Promise<void> => rm(inSite(`references/${name}`));

  await site.command('policy', 'learn', '--surface', 'desk', '--name', 'pi', '--out', inSite('pi-1.yaml'));
  await surfaced('policy', 'sign', '--key', inSite('signing.pem'), inSite('pi-1.yaml'));
  await publish('pi-1.yaml');
  const { ekSha256 } = await site.surface('desk');
  await site.command('surfaces', 'approve', 'desk', '--ek', ekSha256 ?? '', '--level', '1', '--policy', 'pi');
  t.match(await site.surfaceOnce('desk', ({ level }) => level === 1), { state: 'trusted' });
  t.notMatch(device.log(), '"connection lost"', 'a level is gained without a new session');

  const learned = parse(await readFile(inSite('pi-1.yaml'), 'utf8')) as ReferenceSet;
  const sha256 = [createHash('sha256').update(application[1]).digest('hex')];
  const files = learned.spec.files.map((file) => (file.path === main ? { ...file, sha256 } : file));
  t.match(files, [{ path: desk.deviceFile }, { path: main, sha256 }]);
  const updated = { ...learned, metadata: { name: 'pi', version: 2 }, spec: { ...learned.spec, files } };
  await writeFile(inSite('pi-2.yaml'), stringify(updated));
  await surfaced('policy', 'sign', '--key', inSite('signing.pem'), inSite('pi-2.yaml'));
  const judged = (await site.verdicts('desk')).length;
  await publish('pi-2.yaml');
  await site.verdictsOnce('desk', (verdicts) => verdicts.length > judged);
  t.match((await site.verdicts('desk')).at(-1), { isTrusted: true, reference: { version: 1 } });
  t.notMatch(device.log(), '"connection lost"', 'old and new are valid: it stays');

  const before = { gateway: gateway.logLength, device: device.logLength };
  await withdraw('pi-1.yaml');
  const failed = await gateway.loggedFrom(before.gateway, 'trust changed', { surface: 'desk', to: 'failed' });
  const closed = await gateway.loggedFrom(before.gateway, 'session closed', { surface: 'desk' });
  t.comment(`session closed ${Number(closed.time) - Number(failed.time)} ms after the verdict`);
  await device.loggedFrom(before.device, 'connection lost', {});
  t.match(await site.surfaceOnce('desk', ({ state }) => state === 'failed'), {
    level: null,
    reason: new RegExp(`version 2: file ${main} has the SHA-256`),
  });
  const refused = { code: 'E_ENROL_EVIDENCE' };
  await gateway.loggedFrom(before.gateway, 'enrolment refused', refused);

  await publish('pi-1.yaml');
  // Its certificate was of level 0, so this one is new.
  await device.loggedFrom(before.device, 'connected', { attestedLevel: 1 });
  t.match(await site.surfaceOnce('desk', ({ state }) => state === 'trusted'), { level: 1 }, 'by itself');

  await desk.cutPower();
  await writeFile(main, application[1]);
  await desk.powerOn();
  await desk.measure(main);
  const again = desk.startDevice();
  t.match(await again.logged('connected'), { surface: 'desk', attestedLevel: 1 });
  t.match((await site.verdicts('desk')).at(-1), { epoch: 'new', reference: { version: 2 } });
  const rolledOut = (await site.verdicts('desk')).length;
  await withdraw('pi-1.yaml');
  await site.verdictsOnce('desk', (verdicts) => verdicts.length > rolledOut);
  t.match(
    await site.surface('desk'),
    { state: 'trusted', level: 1 },
    'nobody needs the old version any more',
  );
  t.notMatch(again.log(), '"connection lost"');

  await gateway.end('SIGTERM');
  t.match(await verifyAudit(site.auditFolder), { isSound: true, faults: [] });
});
