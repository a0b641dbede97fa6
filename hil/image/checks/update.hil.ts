/**
 * Updates, on the image itself: the gateway rolls a version out, the surface installs it over the network and keeps it; a
 * broken one falls back.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { UpdateDesk } from '../update-desk.ts';

t.setTimeout(2_400_000);

t.test('an update, and a broken one', async (t) => {
  const startedAt = performance.now();
  const since = (): string => `${((performance.now() - startedAt) / 1000).toFixed(0)} s`;
  const updating = await UpdateDesk.live(t);
  const { desk } = updating.own;
  const { site } = desk;
  t.comment(`live after ${since()}`);

  await updating.add(await updating.build('0.1.1', null));
  await updating.roll('0.1.1');
  await site.gateway.logged('rollout ended');
  t.comment(`updated after ${since()}`);
  await desk.untilLive(2);
  await updating.isLevel1();
  await desk.slide(2, 4);
  t.equal(await desk.replicas(), 4, 'the new version scales');

  // Starts, and then nothing of surfaced does.
  const broken = await updating.build('0.1.2', (root) =>
    writeFile(path.join(root, 'usr/lib/surfaced/dist/daemon/main.js'), 'process.exit(1);\n'),
  );
  await updating.add(broken);
  const logged = site.gateway.logLength;
  await updating.roll('0.1.2');
  await site.gateway.loggedFrom(logged, 'rollout stops because of failures; nobody else is asked', {});
  t.comment(`a broken version fell back after ${since()}`);
  await desk.untilLive(4);
  await updating.isLevel1();
  await desk.slide(4, 3);
  t.equal(await desk.replicas(), 3, 'the version before it runs and scales');
  await desk.powerCut();
});
