/** Packages of the npm registry, byte for byte as a pin says; kept in the cache of the build. */
import { createHash } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import { keptFolder, keyOf } from '../toolbox/cache.ts';
import { runCommand, say } from '../toolbox/command.ts';
import type { PackagePin } from './architectures.ts';

/** The environment of commands whose output must not depend on who runs them. */
export const plainEnvironment = {
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  HOME: process.env.HOME ?? '/',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** How a pin's tarball is called in the cache. */
const tarballName = ({ name, version }: PackagePin): string => `${name.replace('/', '+')}-${version}.tgz`;

/**
 * Fetches packages that are not in the cache yet, all at once, through npm.
 * @returns path of each tarball, in the order of the pins
 * @throws SurfacedError E_IMAGE_STEP when npm fails, or when a tarball is not what its pin says
 */
export async function fetchPackages(pins: readonly PackagePin[]): Promise<string[]> {
  const key = keyOf(pins.map(({ integrity }) => integrity));
  const folder = await keptFolder(`npm-${key}`, async (target) => {
    say(`fetching ${pins.length === 1 ? pins[0]?.name : `${pins.length} packages`} from the npm registry`);
    const specs = pins.map(({ name, version }) => `${name}@${version}`);
    const printed = await runCommand(
      'npm pack',
      ['npm', 'pack', '--json', '--loglevel=error', '--prefer-offline', ...specs],
      { input: null, env: { ...process.env, LC_ALL: 'C' } as Record<string, string>, cwd: target },
    );
    const packed = JSON.parse(printed) as { name: string; version: string; filename: string }[];
    for (const pin of pins) {
      const found = packed.find(({ name, version }) => name === pin.name && version === pin.version);
      if (found === undefined)
        throw new SurfacedError('E_IMAGE_STEP', `npm pack gave no ${pin.name}@${pin.version}`);
      // Some releases of npm print the scope with its slash, where the file has a dash.
      const file = found.filename.replace(/^@/, '').replace('/', '-');
      await rename(path.join(target, file), path.join(target, tarballName(pin)));
      await checkIntegrity(pin, path.join(target, tarballName(pin)));
    }
  });
  const files = pins.map((pin) => path.join(folder, tarballName(pin)));
  await Promise.all(pins.map((pin, index) => checkIntegrity(pin, files[index] ?? '')));
  return files;
}

/** @throws SurfacedError E_IMAGE_STEP when the file is not what the pin says */
export async function checkIntegrity({ name, version, integrity }: PackagePin, file: string): Promise<void> {
  const digest = createHash('sha512')
    .update(await readFile(file))
    .digest('base64');
  if (integrity === `sha512-${digest}`) return;
  throw new SurfacedError(
    'E_IMAGE_STEP',
    `${name}@${version} is not what its pin says: ${file} has sha512-${digest}, not ${integrity}`,
  );
}

/** Unpacks a tarball of the registry into a folder that is there, without the `package/` that all names begin with. */
export async function unpack(tarball: string, folder: string): Promise<void> {
  await runCommand(
    `unpacking ${path.basename(tarball)}`,
    ['tar', '--extract', '--gzip', '--strip-components=1', '--no-same-owner', '--file', tarball],
    { input: null, env: plainEnvironment, cwd: folder },
  );
}
