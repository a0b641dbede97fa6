/**
 * Updates that are disturbed, on the image itself: the power goes while the new system is written, and the surface starts
 * with the old one and is updated after all; then it is updated by a USB stick.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { UpdateDesk } from '../update-desk.ts';

t.setTimeout(2_400_000);

/** A part of what an installation writes, which is some 300 MB. */
const cutAfterBytes = 60e6;
const megabyte = 2 ** 20;

t.test('a power cut in mid-update, and a USB stick', async (t) => {
  const updating = await UpdateDesk.live(t);
  const { own, toolbox, folder } = updating;
  const { desk } = own;
  const { gateway } = desk.site;

  await updating.add(await updating.build('0.1.1', null));
  const written = own.untilWritten(cutAfterBytes);
  await updating.roll('0.1.1');
  await written;
  await desk.powerCut();
  t.pass('the power went while the new system was written');
  const from = gateway.logLength;
  await own.powerOn(null);
  await desk.untilLive(2);
  t.ok(
    desk.machine.console.lines.some((line) => /slot a, version 0\.1\.0, goes on with systemd/.test(line)),
    'the old system starts from its slot',
  );
  await gateway.loggedFrom(from, 'rollout ended', {});
  await desk.untilLive(2);
  await updating.isLevel1();
  t.pass('and is updated after all');
  await desk.powerCut();

  const bundle = await updating.build('0.1.2', null);
  await updating.add(bundle);
  const stick = path.join(folder, 'stick');
  const sizeMb = Math.ceil((await stat(bundle)).size / megabyte) + 16;
  const binds = [folder];
  await toolbox.run('truncate', [`--size=${sizeMb}M`, stick], { binds });
  await toolbox.run('mkfs.vfat', ['-F', '32', stick], { binds });
  await toolbox.run('mcopy', ['-i', stick, bundle, '::/'], { binds });
  await own.powerOn(stick);
  await desk.machine.waitForLine(/slot [ab], version 0\.1\.2, goes on with systemd/, {
    from: 0,
    timeoutMs: 1_800_000,
  });
  await desk.untilLive(2);
  await updating.isLevel1();
  await desk.slide(2, 3);
  t.equal(await desk.replicas(), 3, 'the version of the stick scales');
  await desk.powerCut();
});
