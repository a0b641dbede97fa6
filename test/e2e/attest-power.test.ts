/** The power of a surface goes, again and again: TPM and device at once, at rest and in the middle of what they do. */
import t from 'tap';
import { withoutSwtpm } from '../../hil/software-tpm.ts';
import { Machine } from './attest-machine.ts';
import { AttestSite, verifyAudit } from './attest-site.ts';

// Nothing takes that long; a machine that others keep busy may.
t.setTimeout(300_000);

const cuts = 4;

t.test('it comes back by itself', { skip: withoutSwtpm }, async (t) => {
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
  await site.letIn(desk, 'desk');
  const { ekSha256 } = await site.surface('desk');
  const known = { state: 'trusted', level: 0, ekSha256 };

  await t.test(`${cuts} power cuts in a row`, async (t) => {
    for (let cut = 1; cut <= cuts; cut++) {
      await desk.cutPower();
      await desk.powerOn();
      t.match(await desk.startDevice().logged('connected'), { surface: 'desk' }, `after cut ${cut}`);
    }
    const verdicts = await site.verdicts('desk');
    t.same(
      verdicts.map(({ epoch }) => epoch),
      ['first', ...Array.from({ length: cuts }, () => 'new')],
    );
    t.ok(verdicts.every(({ isTrusted }) => isTrusted));
  });

  await t.test('and in the middle of what the TPM does', async (t) => {
    for (let cut = 1; cut <= cuts; cut++) {
      await desk.cutPower();
      await desk.powerOn();
      await desk.startDevice().logged('endorsement key found');
    }
    await desk.cutPower();
    await desk.powerOn();
    t.match(await desk.tpmStatus(), { lockout: { counter: 0, isLocked: false } }, 'no cut counts as a guess');
    t.match(await desk.startDevice().logged('connected'), { surface: 'desk' });
    t.match((await site.verdicts('desk')).at(-1), { isTrusted: true, epoch: 'new' });
    t.match(await site.surfaceOnce('desk', ({ state }) => state === 'trusted'), known);
  });

  await site.gateway.end('SIGTERM');
  const report = await verifyAudit(site.auditFolder);
  t.match(report, { isSound: true, faults: [], quotes: { refused: 0 } });
  t.comment(`${report.records} records, ${report.quotes.held} quotes hold`);
});
