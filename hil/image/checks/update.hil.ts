/**
 * Updates, on the image itself: the gateway rolls a version out, the power goes while it is written, the surface starts with
 * the old one and is updated after all; a version that cannot start falls back.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { UpdateDesk } from '../update-desk.ts';

t.setTimeout(2_400_000);

/** A part of what an installation writes, which is some 300 MB. */
const cutAfterBytes = 60e6;

t.test('an update that is cut off, and one that cannot start', async (t) => {
  const startedAt = performance.now();
  const since = (): string => `${((performance.now() - startedAt) / 1000).toFixed(0)} s`;
  const updating = await UpdateDesk.live(t);
  const { own } = updating;
  const { desk } = own;
  const { gateway } = desk.site;
  t.comment(`live after ${since()}`);

  await updating.add(await updating.build('0.1.1', null));
  const written = own.untilWritten(cutAfterBytes);
  await updating.roll('0.1.1');
  await written;
  await desk.powerCut();
  t.comment(`the power went while the new system was written, after ${since()}`);
  const from = gateway.logLength;
  await own.powerOn(null);
  await desk.untilLive(2);
  t.ok(
    desk.machine.console.lines.some((line) => /slot a, version 0\.1\.0, goes on with systemd/.test(line)),
    'the old system starts from its slot',
  );
  await gateway.loggedFrom(from, 'rollout ended', {});
  t.comment(`updated after all, after ${since()}`);
  await desk.untilLive(2);
  await updating.isLevel1();
  await desk.slide(2, 4);
  t.equal(await desk.replicas(), 4, 'the new version scales');

  // Its init ends at once, so the kernel panics and starts the machine anew.
  const broken = await updating.build('0.1.2', (root) =>
    writeFile(path.join(root, 'usr/lib/systemd/systemd'), '#!/bin/sh\nexit 1\n'),
  );
  await updating.add(broken);
  const logged = gateway.logLength;
  await updating.roll('0.1.2');
  await gateway.loggedFrom(logged, 'rollout stops because of failures; nobody else is asked', {});
  t.comment(`a version that cannot start fell back after ${since()}`);
  await desk.untilLive(4);
  await updating.isLevel1();
  await desk.slide(4, 3);
  t.equal(await desk.replicas(), 3, 'the version before it runs and scales');
  await desk.powerCut();
});
