/**
 * Updates, on the image itself: the gateway rolls a version out, the surface installs it over the network and keeps it; a
 * broken one falls back; a power cut in mid-update leaves a surface that starts.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { signingKey } from '../../../image/update/keys.ts';
import { surfaced } from '../../../test/e2e/processes.ts';
import { builtCard } from '../built-card.ts';
import { CardDesk } from '../card-desk.ts';
import { nextVersion } from '../next-version.ts';

t.setTimeout(1_400_000);

t.test('an update, a broken one and one that is cut off', async (t) => {
  const toolbox = await ensureToolbox();
  const card = builtCard();
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-update-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const build = (version: string, change: ((root: string) => Promise<void>) | null) =>
    nextVersion({ toolbox, card, version, change, folder });
  const good = await build('0.1.1', null);
  // Starts, and then nothing of surfaced does.
  const broken = await build('0.1.2', (root) =>
    writeFile(path.join(root, 'usr/lib/surfaced/dist/daemon/main.js'), 'process.exit(1);\n'),
  );

  const policyKey = path.join(folder, 'policy.pem');
  await surfaced('policy', 'key', '--out', policyKey);
  const { authorities } = await signingKey(null);
  const updates = path.join(folder, 'updates');
  await mkdir(updates);
  const own = await CardDesk.lay({
    test: t,
    toolbox,
    card,
    policy: { signers: [`${policyKey}.pub`] },
    updates: { folder: updates, trustedSigners: authorities },
    certificateTtlSeconds: 600,
    bootFiles: {},
  });
  const { desk } = own;
  const { site } = desk;
  const startedAt = performance.now();
  const seconds = (): string => `${((performance.now() - startedAt) / 1000).toFixed(0)} s`;
  const add = (bundle: string) => site.command('updates', 'add', bundle, '--key', policyKey);
  const isLevel1 = async (): Promise<void> => {
    const { state, level } = await site.surfaceOnce('desk', ({ level }) => level === 1);
    t.same({ state, level }, { state: 'trusted', level: 1 }, 'level 1 by the reference set of the bundle');
  };

  // The card's own version first: what it measures is in its bundle.
  const shipped = path.join(card.folder, `surfaced-${card.info.version}-${card.info.board}.raucb`);
  await add(shipped);
  await own.powerOn();
  await desk.approve('--level', '1', '--policy', 'surfaced-image');
  await desk.untilLive(2);
  await isLevel1();
  t.comment(`live after ${seconds()}`);

  await add(good);
  await site.command('updates', 'roll', '0.1.1', '--surfaces', 'desk');
  await site.gateway.logged('rollout ended');
  t.comment(`updated after ${seconds()}`);
  await desk.untilLive(2);
  await isLevel1();
  await desk.slide(2, 4);
  t.equal(await desk.replicas(), 4, 'the new version scales');

  await add(broken);
  const logged = site.gateway.logLength;
  await site.command('updates', 'roll', '0.1.2', '--surfaces', 'desk');
  await site.gateway.loggedFrom(logged, 'rollout stops because of failures; nobody else is asked', {});
  t.comment(`a broken version fell back after ${seconds()}`);
  await desk.untilLive(4);
  await isLevel1();
  await desk.slide(4, 3);
  t.equal(await desk.replicas(), 3, 'the version before it runs and scales');
  await desk.powerCut();
});
