/** The card that `npm run image` has built, and what can be read from it without starting it. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildInfo } from '../../image/card/release.ts';
import { partitions } from '../../image/layout.ts';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';

const projectFolder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** A card with its build info. */
export interface BuiltCard {
  /** With all that is published. */
  readonly folder: string;
  /** The image as it is written to a card. */
  readonly image: string;
  readonly info: BuildInfo;
}

/**
 * The card in `dist/image`, or in the folder that SURFACED_IMAGE names.
 * @throws Error when there is none, or only the compressed one
 */
export function builtCard(): BuiltCard {
  const folder = process.env.SURFACED_IMAGE ?? path.join(projectFolder, 'dist', 'image');
  const file = path.join(folder, 'build-info.json');
  if (!existsSync(file)) throw new Error(`${file} is not there; build it: npm run image -- --no-compress`);
  const info = JSON.parse(readFileSync(file, 'utf8')) as BuildInfo;
  const image = path.join(folder, info.image.name);
  if (!existsSync(image))
    throw new Error(`${image} is not there: it was compressed; npm run image -- --no-compress`);
  return { folder, image, info };
}

/** The firmware partition for mtools, which finds it in the middle of the image. */
export const firmwareOf = ({ image }: BuiltCard): string => `${image}@@${partitions.firmware.startBytes}`;

/** Content of a file of slot a, read by debugfs(8) as text. */
export async function slotFile(
  toolbox: Toolbox,
  { folder, image }: BuiltCard,
  name: string,
): Promise<string> {
  const slot = `${image}?offset=${partitions.slotA.startBytes}`;
  return toolbox.run('debugfs', ['-R', `cat ${name}`, slot], { binds: [folder] });
}

/** Copies a file of slot a into a folder, and resolves with the path of the copy. */
export async function slotCopy(
  toolbox: Toolbox,
  card: BuiltCard,
  name: string,
  folder: string,
): Promise<string> {
  const copy = path.join(folder, path.basename(name));
  const slot = `${card.image}?offset=${partitions.slotA.startBytes}`;
  await toolbox.run('debugfs', ['-R', `dump ${name} ${copy}`, slot], { binds: [card.folder, folder] });
  return copy;
}
