/** What executables and libraries need of the system that they run on, as `readelf` tells it for any architecture. */
import { SurfacedError } from '../../daemon/errors.ts';

/** Debian packages of the libraries that may be needed, by the beginning of their names. */
const owners: readonly (readonly [library: RegExp, debianPackage: string])[] = [
  [/^(?:libc|libm|libdl|libpthread|librt|ld-linux[\w-]*)\.so\./, 'libc6'],
  [/^libstdc\+\+\.so\.6$/, 'libstdc++6'],
  [/^libgcc_s\.so\.1$/, 'libgcc-s1'],
  [/^libatomic\.so\.1$/, 'libatomic1'],
];

/** Release of GCC that libstdc++6 needs for a symbol version (libstdc++ manual, ABI policy, "Prerequisites"). */
const gccOf: Readonly<Record<string, string>> = {
  28: '10',
  29: '11',
  30: '12',
  31: '13',
  32: '13.1',
  33: '14',
};

/**
 * Entries of `Depends:` for files.
 * @param files what `readelf --wide --dynamic --version-info` printed of each, by name
 * @throws SurfacedError E_IMAGE_STEP when a file needs a library or version that is not known here
 */
export function dependenciesOf(files: ReadonlyMap<string, string>): string[] {
  const needed = new Map<string, string | null>();
  const raise = (name: string, version: string | null): void => {
    const known = needed.get(name) ?? null;
    if (known === null || (version !== null && compare(version, known) > 0))
      needed.set(name, version ?? known);
  };
  for (const [file, printed] of files) {
    for (const [, library = ''] of printed.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)) {
      const owner = owners.find(([pattern]) => pattern.test(library));
      if (owner === undefined)
        throw new SurfacedError('E_IMAGE_STEP', `${file} needs ${library}, which no known package has`);
      raise(owner[1], null);
    }
    for (const [, version = ''] of printed.matchAll(/Name: GLIBC_(2\.\d+(?:\.\d+)?)\b/g))
      raise('libc6', version);
    for (const [, minor = ''] of printed.matchAll(/Name: GLIBCXX_3\.4\.(\d+)\b/g)) {
      const gcc = gccOf[minor] ?? (Number(minor) < 28 ? '8' : null);
      if (gcc === null)
        throw new SurfacedError('E_IMAGE_STEP', `${file} needs GLIBCXX_3.4.${minor}, whose GCC is not known`);
      raise('libstdc++6', gcc);
    }
  }
  return [...needed]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, version]) => (version === null ? name : `${name} (>= ${version})`));
}

function compare(one: string, other: string): number {
  const [first, second] = [one, other].map((text) => text.split('.').map(Number));
  for (let index = 0; index < 3; index++) {
    const difference = (first?.[index] ?? 0) - (second?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
