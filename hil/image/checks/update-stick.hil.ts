/** An update by a USB stick that was plugged in before the start, on the image itself. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { UpdateDesk } from '../update-desk.ts';

t.setTimeout(2_400_000);

const megabyte = 2 ** 20;

t.test('an update by a USB stick', async (t) => {
  const updating = await UpdateDesk.live(t);
  const { own, toolbox, folder } = updating;
  const { desk } = own;

  await desk.powerCut();
  const bundle = await updating.build('0.1.1', null);
  await updating.add(bundle);
  const stick = path.join(folder, 'stick');
  const sizeMb = Math.ceil((await stat(bundle)).size / megabyte) + 16;
  const binds = [folder];
  await toolbox.run('truncate', [`--size=${sizeMb}M`, stick], { binds });
  await toolbox.run('mkfs.vfat', ['-F', '32', stick], { binds });
  await toolbox.run('mcopy', ['-i', stick, bundle, '::/'], { binds });
  await own.powerOn(stick);
  await desk.machine.waitForLine(/slot [ab], version 0\.1\.1, goes on with systemd/, {
    from: 0,
    timeoutMs: 1_800_000,
  });
  await desk.untilLive(2);
  await updating.isLevel1();
  await desk.slide(2, 3);
  t.equal(await desk.replicas(), 3, 'the version of the stick scales');
  await desk.powerCut();
});
