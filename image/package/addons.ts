/**
 * Compiles the native code of packages that come without: a few calls of the compiler instead of node-gyp, which would need
 * Python and would put the paths of this machine into what it makes.
 */
import { access, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import { runCommand, say } from '../toolbox/command.ts';
import { type Architecture, architectures } from './architectures.ts';
import { type LockFile, lockedPin } from './natives.ts';
import { fetchPackages, plainEnvironment, unpack } from './registry.ts';

/** Packages to compile: target and source as in the `binding.gyp` of each. */
export const addons = [
  { name: 'i2c-bus', target: 'i2c', source: 'src/i2c.cc' },
  { name: 'epoll', target: 'epoll', source: 'src/epoll.cc' },
] as const;

/**
 * Compiles {@link addons} into `node_modules/<name>/build/Release/<target>.node` below a folder. Two calls give the same bytes.
 * @throws SurfacedError E_IMAGE_HOST when there is no compiler for the architecture
 */
export async function compileAddons(options: {
  readonly lock: LockFile;
  readonly architecture: Architecture;
  /** `include/node` of the Node that will load them. */
  readonly headers: string;
  readonly folder: string;
  /** An empty folder for sources. */
  readonly work: string;
}): Promise<void> {
  const { lock, architecture, headers, folder, work } = options;
  const compiler = await compilerFor(architecture);
  const pins = [...addons.map(({ name }) => name), 'nan'].map((name) => lockedPin(lock, name));
  const tarballs = await fetchPackages(pins);
  for (const [index, { name }] of pins.entries()) {
    await mkdir(path.join(work, name), { recursive: true });
    await unpack(tarballs[index] ?? '', path.join(work, name));
  }
  for (const { name, target, source } of addons) {
    say(`compiling ${name} for ${architecture}`);
    const output = path.join(folder, 'node_modules', name, 'build/Release', `${target}.node`);
    await mkdir(path.dirname(output), { recursive: true });
    await runCommand(
      `compiling ${name}`,
      [
        compiler,
        ...flags,
        `-DNODE_GYP_MODULE_NAME=${target}`,
        ...maps({ headers, work }),
        source,
        '-o',
        output,
      ],
      { input: null, env: plainEnvironment, cwd: path.join(work, name) },
    );
  }
}

/** As Node's `common.gypi` has them for Linux, but without debug information. */
const flags = [
  ...[
    '-shared',
    '-fPIC',
    '-pthread',
    '-O2',
    '-std=gnu++20',
    '-fno-rtti',
    '-fno-exceptions',
    '-fno-omit-frame-pointer',
  ],
  ...[
    '-DBUILDING_NODE_EXTENSION',
    '-DUSING_UV_SHARED=1',
    '-DUSING_V8_SHARED=1',
    '-DV8_DEPRECATION_WARNINGS=1',
  ],
  ...[
    '-D_LARGEFILE_SOURCE',
    '-D_FILE_OFFSET_BITS=64',
    '-Wno-deprecated-declarations',
    '-Wno-cast-function-type',
  ],
  // Stripped, and hardened as Debian does it.
  ...['-Wl,-s', '-Wl,--build-id=none', '-Wl,-z,relro', '-Wl,-z,now'],
];

/** Where headers are, and their names in what is made: not those of this machine. */
function maps({ headers, work }: { readonly headers: string; readonly work: string }): string[] {
  return [
    `-I${headers}`,
    `-I${path.join(work, 'nan')}`,
    `-ffile-prefix-map=${headers}=node`,
    `-ffile-prefix-map=${work}=.`,
  ];
}

/** Path of the C++ compiler for an architecture. @throws SurfacedError E_IMAGE_HOST */
async function compilerFor(architecture: Architecture): Promise<string> {
  return programFor(architecture, 'g++', `g++-${debianTriplet(architecture)}`);
}

/** Path of `strip` for an architecture. @throws SurfacedError E_IMAGE_HOST */
export async function stripFor(architecture: Architecture): Promise<string> {
  return programFor(architecture, 'strip', `binutils-${debianTriplet(architecture)}`);
}

const debianTriplet = (architecture: Architecture): string =>
  architectures[architecture].triplet.replace('x86_64', 'x86-64');

async function programFor(architecture: Architecture, tool: string, debianPackage: string): Promise<string> {
  const name = `${architectures[architecture].triplet}-${tool}`;
  for (const folder of (process.env.PATH ?? '').split(':').filter((item) => item !== '')) {
    const file = path.join(folder, name);
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  throw new SurfacedError('E_IMAGE_HOST', `${name} is missing: apt-get install ${debianPackage}`);
}
