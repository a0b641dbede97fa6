/**
 * The life of a surface, on the image itself: first start from a boot partition that a maker has filled, approval, a knob
 * turn that scales, a start after a power cut, a factory reset.
 */
import t from 'tap';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { builtCard } from '../built-card.ts';
import { CardDesk } from '../card-desk.ts';

t.setTimeout(2_400_000);

/** A key as ssh-keygen writes it (RFC 8709, section 4); nobody has its other half. */
const publicKey = Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString('base64');
const preseed = `config_version = "1.0"

[system]
hostname = "desk"

[ssh]
enabled = true
authorized_keys = ["ssh-ed25519 ${publicKey} maker"]
`;

t.test('first start, approval, scaling, power cut, factory reset', async (t) => {
  const toolbox = await ensureToolbox();
  const card = builtCard();
  const own = await CardDesk.lay({
    test: t,
    toolbox,
    card,
    policy: {},
    updates: null,
    certificateTtlSeconds: 600,
    bootFiles: { 'rpi-preseed.toml': preseed },
  });
  const { desk } = own;
  const startedAt = performance.now();
  const seconds = (at: number): string => `${((at - startedAt) / 1000).toFixed(1)} s after power-on`;

  await own.powerOn(null);
  t.comment(`panel lit ${seconds(await desk.untilLit())}`);
  const code = await desk.approve();
  t.match(code, /^\d{4}-\d{4}$/, 'the panel shows the code');
  t.comment(`live ${seconds(await desk.untilLive(2))}`);
  t.comment(`scaled ${seconds(await desk.slide(2, 5))}`);
  t.equal(await desk.replicas(), 5, 'the fader scales the workload');
  await desk.untilLive(5);
  const verdict = (await desk.site.verdicts('desk')).at(-1);
  t.match(verdict, { isTrusted: true }, 'by the evidence of its TPM');
  await desk.powerCut();

  const names = await own.bootNames();
  t.notOk(names.includes('rpi-preseed.toml'), 'what was taken over is gone');
  const report = await own.readBootFile('surfaced-report.txt');
  t.match(report, /surfaced\.yaml/, 'the report tells of the Device file');
  t.match(report, card.info.version);
  t.notOk(report.includes(publicKey), 'and not what it was given');

  await own.powerOn(null);
  await desk.untilLive(5);
  t.pass('after a power cut it is live again, and nobody was asked for anything');
  await desk.powerCut();

  await own.writeBootFile('factory-reset', '');
  await own.powerOn(null);
  await desk.untilLive(5);
  t.ok(
    desk.machine.console.lines.some((line) => /reset/i.test(line)),
    'the console tells of the reset',
  );
  t.pass('after a reset it finds its gateway by the file that is still on the boot partition');
  await desk.powerCut();
  t.notOk((await own.bootNames()).includes('factory-reset'), 'a reset is done once');
});
