/** A desk whose gateway offers updates, and whose surface runs the version of the card and is held to what that measures. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { ensureToolbox, type Toolbox } from '../../image/toolbox/toolbox.ts';
import { signingKey } from '../../image/update/keys.ts';
import { surfaced } from '../../test/e2e/processes.ts';
import { type BuiltCard, builtCard } from './built-card.ts';
import { CardDesk } from './card-desk.ts';
import { surfaceName } from './desk.ts';
import { nextVersion } from './next-version.ts';

/** Replicas that the workload has in the beginning. */
const replicasAtStart = 2;

/** Runs until the test is over. */
export class UpdateDesk {
  readonly own: CardDesk;
  readonly toolbox: Toolbox;
  /** For files of the test; goes with it. */
  readonly folder: string;
  readonly #card: BuiltCard;
  readonly #policyKey: string;
  readonly #test: Test;

  private constructor(parts: {
    own: CardDesk;
    toolbox: Toolbox;
    folder: string;
    card: BuiltCard;
    policyKey: string;
    test: Test;
  }) {
    this.own = parts.own;
    this.toolbox = parts.toolbox;
    this.folder = parts.folder;
    this.#card = parts.card;
    this.#policyKey = parts.policyKey;
    this.#test = parts.test;
  }

  /** The surface is live, at level 1, with the version of the card that was built. */
  static async live(test: Test): Promise<UpdateDesk> {
    const toolbox = await ensureToolbox();
    const card = builtCard();
    const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-update-'));
    test.teardown(() => rm(folder, { recursive: true, force: true }));
    const policyKey = path.join(folder, 'policy.pem');
    await surfaced('policy', 'key', '--out', policyKey);
    const { authorities } = await signingKey(null);
    const updates = path.join(folder, 'updates');
    await mkdir(updates);
    const own = await CardDesk.lay({
      test,
      toolbox,
      card,
      policy: { signers: [`${policyKey}.pub`] },
      updates: { folder: updates, trustedSigners: authorities },
      certificateTtlSeconds: 600,
      bootFiles: {},
    });
    const desk = new UpdateDesk({ own, toolbox, folder, card, policyKey, test });
    // The card's own version first: what it measures is in its bundle.
    await desk.add(path.join(card.folder, `surfaced-${card.info.version}-${card.info.board}.raucb`));
    await own.powerOn(null);
    await own.desk.approve('--level', '1', '--policy', 'surfaced-image');
    await own.desk.untilLive(replicasAtStart);
    await desk.isLevel1();
    return desk;
  }

  /** Builds a later version; see {@link nextVersion}. Resolves with the path of its bundle. */
  build(version: string, change: ((root: string) => Promise<void>) | null): Promise<string> {
    const { toolbox, folder } = this;
    return nextVersion({ toolbox, card: this.#card, version, change, folder });
  }

  /** Offers a bundle, and has policy accept what it measures. */
  async add(bundle: string): Promise<void> {
    await this.own.desk.site.command('updates', 'add', bundle, '--key', this.#policyKey);
  }

  /** Asks the surface to take a version. */
  async roll(version: string): Promise<void> {
    await this.own.desk.site.command('updates', 'roll', version, '--surfaces', surfaceName);
  }

  /** Holds the surface against what its version measures. */
  async isLevel1(): Promise<void> {
    const { site } = this.own.desk;
    const { state, level } = await site.surfaceOnce(surfaceName, (seen) => seen.level === 1);
    const wanted = { state: 'trusted', level: 1 };
    this.#test.same({ state, level }, wanted, 'level 1 by the reference set of the bundle');
  }
}
