/** The gateway is killed; and another TPM is put in the place of the one that was approved. */
import t from 'tap';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { Machine } from './attest-machine.ts';
import { AttestSite, failing, type ListedSurface, toldCode, verifyAudit } from './attest-site.ts';

// Nothing takes that long; a machine that others keep busy may.
t.setTimeout(300_000);

t.test('who is known stays known, and nobody else', { skip: withoutSwtpm }, async (t) => {
  const site = await AttestSite.make(t, {
    certificateTtlSeconds: 600,
    hosts: null,
    updates: null,
    policy: {},
    surfaces: {},
  });
  await site.startGateway();
  const desk = await Machine.assemble(t, site, 'desk');
  desk.startDevice();
  const code = await site.letIn(desk, 'desk');
  const { ekSha256 } = await site.surface('desk');
  const known = { state: 'trusted', level: 0, ekSha256 };

  const isTrusted = ({ state }: ListedSurface): boolean => state === 'trusted';

  await t.test('the gateway is killed', async (t) => {
    const start = desk.device.logLength;
    await site.gateway.end('SIGKILL');
    await desk.device.loggedFrom(start, 'connection lost', {});
    await site.startGateway();
    await desk.device.loggedFrom(start, 'connected', { surface: 'desk' });
    t.match(await site.surfaceOnce('desk', isTrusted), known);
    t.notMatch(desk.device.log().split('\n').slice(start).join(), toldCode, 'nobody has to approve it again');

    await site.gateway.end('SIGKILL');
    await desk.cutPower();
    await desk.powerOn();
    const device = desk.startDevice();
    await device.logged('cannot connect');
    await site.startGateway();
    t.match(await device.logged('connected'), { surface: 'desk' }, 'both at once');
  });

  await t.test('another TPM in its place', async (t) => {
    await desk.cutPower();
    const chip = await desk.exchangeChip(null);
    await desk.powerOn();
    const { code: other } = await desk.startDevice().logged(toldCode);
    t.not(other, code);
    t.same(await site.waitingCodes(), [other]);
    t.match(await site.surface('desk'), known, 'what is known of the one that was approved stays');
    const refusal = await failing(site.command('surfaces', 'approve', 'desk', '--code', String(other)));
    t.match(refusal, { code: 2, stderr: /has another TPM .*--replace/ });
    t.notMatch(desk.device.log(), 'certificate received');

    await desk.cutPower();
    await desk.exchangeChip(chip);
    await desk.powerOn();
    t.match(
      await desk.startDevice().logged('connected'),
      { surface: 'desk' },
      'the right one is let in as before',
    );
    t.match(await site.surfaceOnce('desk', isTrusted), known);
  });

  await site.gateway.end('SIGTERM');
  const report = await verifyAudit(site.auditFolder);
  t.match(report, { isSound: true, faults: [], quotes: { refused: 0 } });
  t.comment(`${report.records} records, ${report.quotes.held} quotes hold`);
});
