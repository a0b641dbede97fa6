/**
 * `npm run oci`: the container image of the gateway, as an OCI layout for both architectures and as one archive for each. Run by
 * scripts/oci.mjs, which has the usage.
 */
import { cp, link, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SurfacedError } from '../../daemon/errors.ts';
import { version as projectVersion, versionPattern } from '../../daemon/version.ts';
import { npmPackages } from '../card/release.ts';
import { sbomOf } from '../card/sbom.ts';
import { sourceState } from '../card/source-state.ts';
import { type Architecture, architectures } from '../package/architectures.ts';
import { projectRoot } from '../package/bundle.ts';
import { buildPackage } from '../package/package.ts';
import { extractedPackages } from '../root/extract.ts';
import { imageCacheFolder } from '../toolbox/cache.ts';
import { say } from '../toolbox/command.ts';
import { ensureToolbox, type Toolbox } from '../toolbox/toolbox.ts';
import { packArchive, packLayer } from './layers.ts';
import { type Descriptor, entryOf, type ImageFacts, imageOf, indexOf } from './layout.ts';
import { containerSelection } from './packages.ts';
import { layBase, layProgram } from './root.ts';

/** The time of Debian's files: no build's, so that their layer is the same as long as the packages are. */
const baseEpoch = 0;
const imageName = 'surfaced-gateway';
const layoutFile = '{"imageLayoutVersion":"1.0.0"}';

/** What is to be built. */
interface Order {
  readonly version: string;
  /** Folder of the results, absolute. */
  readonly output: string;
  readonly wanted: readonly Architecture[];
}

/** @throws SurfacedError E_IMAGE_ORDER for what cannot be built */
function orderOf(args: readonly string[]): Order {
  const options = {
    output: { type: 'string', default: path.join('dist', 'oci') },
    version: { type: 'string', default: projectVersion },
    architecture: { type: 'string', multiple: true },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    // Of parseArgs: TypeErrors that name the option.
    throw new SurfacedError('E_IMAGE_ORDER', cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
  }
  const { version, output, architecture } = values;
  if (!versionPattern.test(version))
    throw new SurfacedError('E_IMAGE_ORDER', `--version ${version}: not a version`);
  const known = Object.keys(architectures).toSorted() as Architecture[];
  const unknown = architecture?.find((name) => !(known as string[]).includes(name));
  if (unknown !== undefined)
    throw new SurfacedError('E_IMAGE_ORDER', `--architecture ${unknown}: there is ${known.join(' and ')}`);
  const wanted = known.filter((name) => architecture === undefined || architecture.includes(name));
  return { version, output: path.resolve(projectRoot, output), wanted };
}

/** A folder that becomes a layout: blobs are put into it by their hash. */
async function openLayout(folder: string): Promise<{
  put(blob: { readonly descriptor: Descriptor; readonly bytes: Uint8Array }): Promise<void>;
  /** Without a copy: the file must be on the same file system. */
  take(descriptor: Descriptor, file: string): Promise<void>;
}> {
  const blobs = path.join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  await writeFile(path.join(folder, 'oci-layout'), layoutFile);
  const placeOf = ({ digest }: Descriptor): string => path.join(blobs, digest.slice('sha256:'.length));
  return {
    put: ({ descriptor, bytes }) => writeFile(placeOf(descriptor), bytes),
    take: (descriptor, file) =>
      link(file, placeOf(descriptor)).catch((error: NodeJS.ErrnoException) => {
        // The same layer in two architectures would be the same file.
        if (error.code !== 'EEXIST') throw error;
      }),
  };
}

/** Builds one architecture: into the common layout, and into an archive and an SBOM of its own. */
async function buildOne(options: {
  readonly toolbox: Toolbox;
  readonly facts: ImageFacts;
  readonly architecture: Architecture;
  readonly work: string;
  readonly layout: Awaited<ReturnType<typeof openLayout>>;
  readonly results: string;
}): Promise<{ readonly manifest: Descriptor; readonly sbom: Descriptor }> {
  const { toolbox, facts, architecture, layout, results } = options;
  const { version, epoch } = facts;
  const work = path.join(options.work, architecture);
  const at = (name: string): string => path.join(work, name);
  for (const name of ['base', 'program']) await mkdir(at(name), { recursive: true });
  const packageFile = await buildPackage({ architecture, version, epoch, output: at('package') });
  const { tree, packages } = await extractedPackages(toolbox, containerSelection(architecture));
  await layBase({ tree, packages, folder: at('base') });
  await layProgram({ toolbox, packageFile, folder: at('program') });
  say(`packing the image for ${architecture}`);
  const packed = [
    await packLayer({
      ...{ toolbox, folder: at('base'), epoch: baseEpoch, output: at('base.tar') },
      comment: `libraries of Debian 13: ${packages.map(({ name }) => name).join(' ')}`,
    }),
    await packLayer({
      ...{ toolbox, folder: at('program'), epoch, output: at('program.tar') },
      comment: `surfaced ${version} with Node ${architectures[architecture].node.version}`,
    }),
  ];
  const npm = await npmPackages(at('package/npm-packages.json'));
  const sbom = `${JSON.stringify(sbomOf({ version, epoch, debian: packages, npm }), null, 2)}\n`;
  const image = imageOf({ facts, architecture, layers: packed.map(({ layer }) => layer), sbom });

  const own = await openLayout(at('archive'));
  for (const each of [layout, own]) {
    for (const blob of image.blobs) await each.put(blob);
    for (const { layer, file } of packed) await each.take(layer.descriptor, file);
  }
  const [config] = image.blobs;
  const blobPath = ({ digest }: Descriptor): string => `blobs/sha256/${digest.slice('sha256:'.length)}`;
  await writeFile(at('archive/index.json'), entryOf(image.manifest, version, [image.sbom]));
  // What docker before version 25 reads in place of the index (moby, image/spec/v1.2).
  await writeFile(
    at('archive/manifest.json'),
    JSON.stringify([
      {
        Config: config ? blobPath(config.descriptor) : '',
        RepoTags: [`${imageName}:${version}`],
        Layers: packed.map(({ layer }) => blobPath(layer.descriptor)),
      },
    ]),
  );
  const stem = path.join(results, `${imageName}_${version}_${architecture}`);
  await packArchive({ toolbox, folder: at('archive'), epoch, output: `${stem}.tar` });
  await writeFile(`${stem}.cdx.json`, sbom);
  return image;
}

async function build({ version, output, wanted }: Order): Promise<string> {
  const { commit, isDirty, epoch } = await sourceState(projectRoot, process.env);
  if (isDirty) say('files differ from the commit: nobody else can build the same image');
  const facts = { version, commit, epoch };
  const toolbox = await ensureToolbox();
  const cache = imageCacheFolder(process.env);
  await mkdir(cache, { recursive: true });
  // Named so that what a process which was cut has left is removed by the next one.
  const work = await mkdtemp(path.join(cache, '.unfinished-oci-'));
  try {
    const results = path.join(work, 'results');
    const layout = await openLayout(path.join(results, 'layout'));
    const built = [];
    for (const architecture of wanted)
      built.push(await buildOne({ toolbox, facts, architecture, work, layout, results }));
    const index = indexOf(
      facts,
      built.map(({ manifest }) => manifest),
    );
    await layout.put(index);
    const bills = built.map(({ sbom }) => sbom);
    await writeFile(path.join(results, 'layout/index.json'), entryOf(index.descriptor, version, bills));
    await writeFile(path.join(results, 'digest'), `${index.descriptor.digest}\n`);
    // All or nothing, and not across file systems: what is there is older.
    await rm(output, { recursive: true, force: true });
    await mkdir(path.dirname(output), { recursive: true });
    await moveFolder(results, output);
    return index.descriptor.digest;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function moveFolder(from: string, to: string): Promise<void> {
  await rename(from, to).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EXDEV') throw error;
    await cp(from, to, { recursive: true });
  });
}

try {
  const startedAt = performance.now();
  const order = orderOf(process.argv.slice(2));
  const digest = await build(order);
  say(`done after ${Math.round((performance.now() - startedAt) / 1_000)} s: ${order.output}`);
  process.stdout.write(`${digest}\n`);
} catch (error) {
  if (!(error instanceof SurfacedError)) throw error;
  say(`${error.code}: ${error.message}`);
  say(error.remedy);
  process.exitCode = error.class === 'usage' ? 2 : 1;
}
