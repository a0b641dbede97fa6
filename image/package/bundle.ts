/** The program in a few files: every package that is plain JavaScript is bundled, packages with native code are not. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

/** The project's folder. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Packages with native code: they are beside the bundle, in `node_modules`. */
export const nativePackages = ['i2c-bus', 'koffi', 'onoff', 'serialport'] as const;

/**
 * Bundles the command line into `<folder>/dist/daemon/main.js` and files that it loads when they are needed: the depth is that
 * of the npm package, so that the program finds its `package.json`. The demo with its stand-ins is left out.
 * @returns what is in each file
 */
export async function bundleProgram(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: [path.join(projectRoot, 'daemon/main.ts')],
    outdir: path.join(folder, 'dist/daemon'),
    absWorkingDir: projectRoot,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Without comments it is half as long. Lines stay short: Node prints the one that an error comes from.
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
    charset: 'utf8',
    metafile: true,
    logLevel: 'warning',
    external: [...nativePackages],
    // Bundled CommonJS asks for Node's own modules by `require`, which modules do not have.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
    },
    plugins: [
      {
        name: 'without the demo',
        setup: ({ onResolve }) => {
          onResolve({ filter: /^\.\.\/hil\// }, () => ({
            path: path.join(projectRoot, 'image/package/without-demo.ts'),
          }));
        },
      },
    ],
  });
  // What the gateway's pages serve as it is; web/assets.ts looks for it there.
  const assets = 'daemon/web/assets';
  await cp(path.join(projectRoot, assets), path.join(folder, 'dist', assets), { recursive: true });
  return metafile;
}

/** Folders of the packages that have something in the bundle, below the project's folder, sorted. */
export function packagesIn({ outputs }: Metafile): string[] {
  const folders = Object.values(outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []),
  );
  return [...new Set(folders)].sort();
}
