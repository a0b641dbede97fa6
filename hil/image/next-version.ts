/** Later versions of a card that was built, as update bundles: the same system with another version, or with a change. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buildSlot } from '../../image/boot/slot.ts';
import { partitions } from '../../image/layout.ts';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';
import { buildBundle } from '../../image/update/bundle.ts';
import { signingKey } from '../../image/update/keys.ts';
import { referenceSetFor } from '../../image/update/references.ts';
import type { BuiltCard } from './built-card.ts';

/** What a later version is made of. */
export interface NextVersion {
  readonly toolbox: Toolbox;
  readonly card: BuiltCard;
  readonly version: string;
  /** Changes the tree of the system; null: only the version is another one. */
  readonly change: ((root: string) => Promise<void>) | null;
  /** For work and the bundle; must be there. */
  readonly folder: string;
}

/** Builds the bundle of a later version, signed with the key of this machine as the card was, and resolves with its path. */
export async function nextVersion({ toolbox, card, version, change, folder }: NextVersion): Promise<string> {
  const root = path.join(folder, `root-${version}`);
  await mkdir(root);
  const slotA = `${card.image}?offset=${partitions.slotA.startBytes}`;
  await toolbox.run('debugfs', ['-R', `rdump / ${root}`, slotA], { binds: [card.folder, folder] });
  await rm(path.join(root, 'lost+found'), { recursive: true, force: true });
  await replaceIn(path.join(root, 'usr/lib/os-release'), /^IMAGE_VERSION=.*$/m, `IMAGE_VERSION=${version}`);
  await replaceIn(
    path.join(root, 'usr/lib/surfaced/package.json'),
    /"version":\s*"[^"]*"/,
    `"version": "${version}"`,
  );
  await change?.(root);
  const { epoch } = card.info;
  const slot = path.join(folder, `slot-${version}.img`);
  const { rootHash } = await buildSlot({ toolbox, root, version, epoch, output: slot });
  const references = await referenceSetFor({ root, rootHash, version });
  const output = path.join(folder, `surfaced-${version}.raucb`);
  const key = await signingKey(null);
  await buildBundle({ toolbox, slot, rootHash, version, references, key, epoch, output });
  await Promise.all([rm(root, { recursive: true }), rm(slot)]);
  return output;
}

async function replaceIn(file: string, pattern: RegExp, by: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  if (!pattern.test(text)) throw new Error(`${file} has nothing like ${pattern}`);
  await writeFile(file, text.replace(pattern, by));
}
