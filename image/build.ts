/**
 * `npm run image`: all steps from the sources to a card and what is published with it, in order. Run by
 * scripts/image.mjs, which has the usage.
 */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SurfacedError } from '../daemon/errors.ts';
import { version as projectVersion, versionPattern } from '../daemon/version.ts';
import { buildBootScript } from './boot/boot-script.ts';
import { buildInitramfs } from './boot/initramfs.ts';
import { buildSlot } from './boot/slot.ts';
import { type BoardProfile, boardProfiles } from './card/boards.ts';
import { buildCard } from './card/card.ts';
import { type BuildInfo, moveFile, npmPackages, writeRelease } from './card/release.ts';
import { sbomOf } from './card/sbom.ts';
import { sourceState } from './card/source-state.ts';
import { architectures } from './package/architectures.ts';
import { buildPackage } from './package/package.ts';
import { archiveState, rootSelection } from './root/extract.ts';
import { buildRoot } from './root/root.ts';
import { imageCacheFolder } from './toolbox/cache.ts';
import { say } from './toolbox/command.ts';
import { hostMirrors } from './toolbox/mirrors.ts';
import { ensureToolbox } from './toolbox/toolbox.ts';
import { buildBundle } from './update/bundle.ts';
import { signingKey, writeKeyring } from './update/keys.ts';
import { referenceSetFor } from './update/references.ts';

const projectFolder = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** What is to be built. */
interface Order {
  readonly profile: BoardProfile;
  readonly version: string;
  /** Folder of the results, absolute. */
  readonly output: string;
  readonly isCompressed: boolean;
  /** Where the results will be published; null: not known. */
  readonly base: URL | null;
  /** Folder of the keys that sign; null: what the environment names, or the key of this machine. */
  readonly keys: string | null;
}

/** @throws SurfacedError E_IMAGE_ORDER for options that there are not */
function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        board: { type: 'string', default: 'debian' },
        output: { type: 'string', default: path.join('dist', 'image') },
        version: { type: 'string', default: projectVersion },
        'no-compress': { type: 'boolean', default: false },
        'base-url': { type: 'string' },
        keys: { type: 'string' },
      },
    }).values;
  } catch (cause) {
    // Of parseArgs: TypeErrors that name the option.
    throw new SurfacedError('E_IMAGE_ORDER', cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
  }
}

/** @throws SurfacedError E_IMAGE_ORDER for what cannot be built */
function orderOf(args: readonly string[]): Order {
  const values = valuesOf(args);
  const profiles: Readonly<Record<string, BoardProfile>> = boardProfiles;
  const profile = Object.hasOwn(profiles, values.board) ? profiles[values.board] : undefined;
  if (profile === undefined)
    throw new SurfacedError(
      'E_IMAGE_ORDER',
      `--board ${values.board}: there is ${Object.keys(profiles).join(', ')}`,
    );
  if (profile.missing.length > 0)
    throw new SurfacedError(
      'E_IMAGE_ORDER',
      `--board ${profile.name} cannot be built. ${profile.missing.join(' ')}`,
    );
  if (!versionPattern.test(values.version))
    throw new SurfacedError('E_IMAGE_ORDER', `--version ${values.version}: not a version such as 0.1.0`);
  const address = values['base-url'] ?? null;
  const base = address !== null && URL.canParse(address) ? new URL(address) : null;
  if (address !== null && base?.protocol !== 'https:')
    throw new SurfacedError(
      'E_IMAGE_ORDER',
      `--base-url ${address}: not an address that begins with https://`,
    );
  return {
    profile,
    version: values.version,
    output: path.resolve(projectFolder, values.output),
    isCompressed: !values['no-compress'],
    base,
    keys: values.keys === undefined ? null : path.resolve(projectFolder, values.keys),
  };
}

/** Says what it does before, and how long it took after. */
async function step<Result>(title: string, work: () => Promise<Result>): Promise<Result> {
  const startedAt = performance.now();
  say(`${title} ...`);
  const result = await work();
  say(`${title}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  return result;
}

async function build({ profile, version, output, isCompressed, base, keys }: Order): Promise<void> {
  const source = await sourceState(projectFolder, process.env);
  const { epoch } = source;
  say(`image ${version} for ${profile.title}, commit ${source.commit?.slice(0, 12) ?? 'unknown'}`);
  if (source.isDirty) say('files differ from the commit: nobody else can build the same image');
  await mkdir(output, { recursive: true });
  // They are true of all files or not there.
  for (const name of ['SHA256SUMS', 'SHA256SUMS.p7s']) await rm(path.join(output, name), { force: true });
  const cache = imageCacheFolder(process.env);
  await mkdir(cache, { recursive: true });
  const key = await signingKey(keys);
  const toolbox = await ensureToolbox();
  // Named so that what a process which was cut has left is removed by the next one.
  const work = await mkdtemp(path.join(cache, '.unfinished-build-'));
  try {
    const at = (name: string): string => path.join(work, name);
    const packageFile = await step('package for arm64', () =>
      buildPackage({ architecture: 'arm64', version, epoch, output: at('arm64') }),
    );
    const packages = [packageFile];
    // That of a release; who tries the image alone does without.
    if (isCompressed)
      packages.push(
        await step('package for amd64', () =>
          buildPackage({ architecture: 'amd64', version, epoch, output: at('amd64') }),
        ),
      );
    const root = await step('root file system', () =>
      buildRoot({ toolbox, packageFile, version, epoch, output: at('root') }),
    );
    // Before the slot is made of it: what it trusts is covered by its hash.
    await writeKeyring({ root: root.folder, key });
    await step('initramfs', () =>
      buildInitramfs({
        toolbox,
        root: root.folder,
        kernelVersion: root.kernelVersion,
        epoch,
        output: path.join(root.folder, 'boot/initrd.img'),
      }),
    );
    const slot = at('slot.img');
    const { rootHash } = await step('slot', () =>
      buildSlot({ toolbox, root: root.folder, version, epoch, output: slot }),
    );
    const bootScript = at('boot.scr');
    await buildBootScript({ toolbox, epoch, output: bootScript });
    const image = path.join(output, `surfaced-${version}-${profile.name}.img`);
    await step('card', () =>
      buildCard({ toolbox, profile, slot, root: root.folder, bootScript, epoch, output: image }),
    );
    const bundle = path.join(output, `surfaced-${version}-${profile.name}.raucb`);
    await step('update bundle', async () => {
      const references = await referenceSetFor({ root: root.folder, rootHash, version });
      await rm(bundle, { force: true });
      await buildBundle({ toolbox, slot, rootHash, version, references, key, epoch, output: bundle });
    });
    const authorities = path.join(output, 'surfaced-updates-ca.pem');
    await copyFile(key.authorities, authorities);
    const others = [bundle, authorities];
    for (const file of packages) {
      others.push(path.join(output, path.basename(file)));
      await moveFile(file, path.join(output, path.basename(file)));
    }
    const npm = await npmPackages(at('arm64/npm-packages.json'));
    const info: Omit<BuildInfo, 'image'> = {
      version,
      board: profile.name,
      ...source,
      archive: await archiveState(await hostMirrors(), rootSelection),
      kernel: root.kernelVersion,
      node: architectures.arm64.node.version,
      toolbox: path.basename(toolbox.path),
      rootHash,
      packages: root.packages.length,
    };
    const sbom = sbomOf({ version, epoch, debian: root.packages, npm });
    await step('release', () =>
      writeRelease({ tools: toolbox, profile, image, isCompressed, others, sbom, info, base, key }),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

try {
  const startedAt = performance.now();
  const order = orderOf(process.argv.slice(2));
  await build(order);
  say(`done after ${Math.round((performance.now() - startedAt) / 1_000)} s: ${order.output}`);
} catch (error) {
  if (!(error instanceof SurfacedError)) throw error;
  say(`${error.code}: ${error.message}`);
  say(error.remedy);
  process.exitCode = error.class === 'usage' ? 2 : 1;
}
