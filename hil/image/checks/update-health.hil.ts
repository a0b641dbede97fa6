/**
 * Updates, on the image itself: a version whose system starts, and whose daemon does nothing, fails its health check three
 * times and falls back. Takes half an hour, for the check waits for what is slow to start.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { UpdateDesk } from '../update-desk.ts';

t.setTimeout(3_000_000);

t.test('an update whose daemon does nothing', async (t) => {
  const updating = await UpdateDesk.live(t);
  const { desk } = updating.own;
  const { gateway } = desk.site;

  const broken = await updating.build('0.1.1', (root) =>
    writeFile(path.join(root, 'usr/lib/surfaced/dist/daemon/main.js'), 'process.exit(1);\n'),
  );
  await updating.add(broken);
  const logged = gateway.logLength;
  await updating.roll('0.1.1');
  await gateway.loggedFrom(logged, 'rollout stops because of failures; nobody else is asked', {});
  await desk.untilLive(2);
  await updating.isLevel1();
  await desk.slide(2, 3);
  t.equal(await desk.replicas(), 3, 'the version before it runs and scales');
  await desk.powerCut();
});
