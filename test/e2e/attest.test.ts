/**
 * Attestation as processes: a surface with a software TPM from its first start to a command in the cluster, over the
 * renewal of its certificate, to its revocation; what its stolen card is worth meanwhile, and the record of it all.
 */
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { noSocat } from '../hw/ports/socat.ts';
import { Machine } from './attest-machine.ts';
import { AttestSite, failing, flipByte, toldCode, verifyAudit } from './attest-site.ts';
import { Mackie } from './mackie.ts';
import { kubectl, noKubectl, surfaced } from './processes.ts';

// Nothing takes that long; a machine that others keep busy may.
t.setTimeout(300_000);

const most = 8;
const bindings = [
  {
    control: 'fader1',
    target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
    max: most,
  },
];
/** Where a fader stands for a number of replicas. */
const placeOf = (count: number): number => 0.02 + (0.96 * (count - 1)) / (most - 1);
/** What the display says, in the 56 characters that it has. */
const shownCode = /Code (\d{4}-\d{4}), to be approved/;

/** A machine that is off, with a secret on its card. */
async function newMachine(t: Test, site: AttestSite): Promise<Machine> {
  const machine = await Machine.assemble(t, site, 'desk');
  const secret = path.join(site.folder, 'wifi');
  const sealed = path.join(machine.folder, 'wifi.sealed');
  await writeFile(secret, 'correct horse');
  await surfaced('secret', 'seal', sealed, '--in', secret, '--swtpm', machine.socket);
  t.equal(await surfaced('secret', 'open', sealed, '--swtpm', machine.socket), 'correct horse');
  return machine;
}

/** The card of a surface in another machine, while the surface itself is in use. */
async function steal(t: Test, site: AttestSite, desk: Machine): Promise<void> {
  const { ekSha256 } = await site.surface('desk');
  const known = { state: 'trusted', level: 0, ekSha256 };
  const card = path.join(site.folder, 'thief');
  // What is at the end of a link is a part of the machine.
  await cp(desk.folder, card, {
    recursive: true,
    filter: async (name) => [desk.deviceFile, desk.folder].includes(name) || name.endsWith('.sealed'),
  });
  const files = await Promise.all(
    (await readdir(card)).map((name) => readFile(path.join(card, name), 'utf8')),
  );
  t.equal(files.length, 2);
  t.notMatch(files.join(), /PRIVATE KEY|CERTIFICATE|token|correct horse/, 'nothing on it is a credential');
  const machine = await Machine.withCard(t, card);
  const open = surfaced('secret', 'open', path.join(card, 'wifi.sealed'), '--swtpm', machine.socket);
  t.match(await failing(open), { code: 1, stdout: '', stderr: /another TPM has sealed it/ });

  const text = await readFile(machine.deviceFile, 'utf8');
  await writeFile(machine.deviceFile, text.replaceAll(desk.folder, card));
  const device = machine.startDevice();
  const { code } = await device.logged(toldCode);
  t.same(await site.waitingCodes(), [code], 'it waits for approval, like a TPM that nobody knows');
  await machine.cutPower();
  t.notMatch(device.log(), 'certificate received', 'and gets nothing');
  t.match(await site.surface('desk'), known, 'nothing changes for the surface itself');
}

t.test('a surface from power-on to revocation', { skip: withoutSwtpm || noSocat || noKubectl }, async (t) => {
  const site = await AttestSite.make(t, {
    certificateTtlSeconds: 60,
    hosts: null,
    updates: null,
    policy: {},
    surfaces: { desk: bindings },
  });
  await site.startGateway();
  const desk = await newMachine(t, site);
  const panel = await Mackie.plug(desk.panelPort);
  t.teardown(() => panel.unplug());
  const replicas = (): Promise<string> => {
    const cart = ['-n', 'shop', 'get', 'deployment', 'cart', '-o', 'jsonpath={.spec.replicas}'];
    return kubectl(site.cluster.kubeconfigPath, ...cart);
  };
  const device = desk.startDevice();

  await panel.until(({ top }) => shownCode.test(top));
  const code = shownCode.exec(panel.top)?.[1] ?? '';
  t.equal((await device.logged(toldCode)).code, code);
  t.same(await site.waitingCodes(), [code], 'the operator sees the code of the panel');
  t.match(await site.surface('desk'), { state: 'unapproved', ekSha256: null });
  const otherCode = code.replace(/^\d/, (digit) => `${(Number(digit) + 1) % 10}`);
  t.match(await failing(site.command('surfaces', 'approve', 'desk', '--code', otherCode)), {
    code: 2,
    stderr: /no TPM with the code/,
  });
  await site.command('surfaces', 'approve', 'desk', '--code', code);
  const enrolled = await device.logged('certificate received');
  t.match(await device.logged('connected'), { surface: 'desk', trust: 'tpm', attestedLevel: 0 });
  await panel.until(({ top, bottom }) => top.startsWith('cart ') && bottom.startsWith('2/2'));

  panel.slide(placeOf(2), placeOf(5));
  await site.gateway.logged('command ended');
  t.equal(await replicas(), '5', 'kubectl reports what the fader asked for');
  await panel.until(({ bottom }) => bottom.startsWith('5/5'));

  const saidBefore = panel.said.length;
  const loggedBefore = device.logLength;
  await steal(t, site, desk);

  const renewed = await device.loggedFrom(loggedBefore, 'certificate received', {});
  await device.loggedFrom(loggedBefore, 'connected', {});
  t.comment(`renewed ${Number(renewed.time) - Number(enrolled.time)} ms after the first certificate`);
  const epochs = (await site.verdicts('desk')).map(({ isTrusted, epoch }) => ({ isTrusted, epoch }));
  t.same(epochs, [
    { isTrusted: true, epoch: 'first' },
    { isTrusted: true, epoch: 'same' },
  ]);
  panel.slide(placeOf(5), placeOf(3));
  await panel.until(({ bottom }) => bottom.startsWith('3/3'));
  t.equal(await replicas(), '3', 'it acts with the new certificate');
  const away = panel.said.slice(saidBefore).filter((text) => /OFFLINE|STALE/.test(text));
  t.same(away, [], 'the panel was live all the time');
  t.notMatch(device.log(), '"connection lost"');

  const closedFrom = site.gateway.logLength;
  await site.command('surfaces', 'revoke', 'desk');
  const { mtimeMs } = await stat(path.join(site.folder, 'surfaces', 'desk.yaml'));
  const closed = await site.gateway.loggedFrom(closedFrom, 'session closed', { surface: 'desk' });
  const lost = await device.loggedFrom(loggedBefore, 'connection lost', {});
  const after = (line: Record<string, unknown>): number => Math.round(Number(line.time) - mtimeMs);
  t.comment(`revoked: session closed after ${after(closed)} ms, seen by the surface after ${after(lost)} ms`);
  await panel.until(({ top }) => top.startsWith('OFFLINE'));
  await site.gateway.loggedFrom(closedFrom, 'enrolment refused', { code: 'E_SURFACE_REVOKED' });
  t.match(await site.surface('desk'), { state: 'revoked', level: null });

  await site.gateway.end('SIGTERM');
  const report = await verifyAudit(site.auditFolder);
  t.match(report, { isSound: true, faults: [], quotes: { held: 2, refused: 0 } });
  t.match(report.kinds, { verdict: 2, certificate: 2, command: 2, gateway: 2 });
  const seq = await flipByte(site.auditFolder);
  const { isSound, faults } = await verifyAudit(site.auditFolder);
  t.equal(isSound, false);
  const where = { seq: seq + 1, what: /does not chain: .* the record before/ };
  t.match(faults, [where], `one byte of record ${seq} is another`);
});
