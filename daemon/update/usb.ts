/** Updates on a USB stick: the newest bundle in its top folder, if it is newer than what runs. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../errors.ts';
import { compareVersions } from '../version.ts';
import { type Bundle, readBundle } from './bundle.ts';
import { type Host, textOrNull } from './host.ts';
import type { Standing } from './standing.ts';

const keyringFile = '/etc/rauc/keyring.pem';
const mostBundles = 16;

/** A bundle on a stick. */
export interface FoundBundle {
  readonly file: string;
  readonly bundle: Bundle;
}

/**
 * The bundle to install; null: there is none that should be.
 * @param say told why a bundle is passed over
 * @throws SurfacedError E_UPDATE_SOURCE when the stick cannot be read
 */
export async function bundleOnStick(
  host: Host,
  { folder, standing }: { readonly folder: string; readonly standing: Standing },
  say: (text: string) => void,
): Promise<FoundBundle | null> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    throw new SurfacedError('E_UPDATE_SOURCE', `${folder}: cannot be read (${cause.code})`, { cause });
  });
  const trusted = (await textOrNull(path.join(host.root, keyringFile))) ?? '';
  const bundles = names.filter((name) => name.endsWith('.raucb') && !name.startsWith('.')).sort();
  if (bundles.length > mostBundles) say(`more than ${mostBundles} bundles; the rest is not looked at`);
  let best: FoundBundle | null = null;
  for (const name of bundles.slice(0, mostBundles)) {
    const file = path.join(folder, name);
    try {
      const bundle = await readBundle(file, { trusted, at: null });
      const reason = whyNot(bundle, standing);
      if (reason !== null) say(`${name}: ${bundle.version} is not installed, ${reason}`);
      else if (best === null || compareVersions(bundle.version, best.bundle.version) > 0)
        best = { file, bundle };
    } catch (problem) {
      if (!(problem instanceof SurfacedError)) throw problem;
      say(`${name}: ${problem.code}: ${problem.message}`);
    }
  }
  return best;
}

/** A stick that stays plugged in must not have the same tried again at every start. */
function whyNot({ version, rootHash }: Bundle, { running, last, outcome }: Standing): string | null {
  if (compareVersions(version, running.version) <= 0) return `${running.version} runs`;
  const isLast = last?.version === version && last.rootHash === rootHash;
  return isLast && outcome === 'left' ? 'it was tried and left again' : null;
}
