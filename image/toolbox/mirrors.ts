/** Which mirror of Debian this machine uses, read from apt's own lists of sources. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** Addresses without a slash at the end. */
export interface Mirrors {
  readonly debian: string;
  readonly security: string;
}

const usual: Mirrors = {
  debian: 'http://deb.debian.org/debian',
  security: 'http://deb.debian.org/debian-security',
};

/** One-line style, sources.list(5): `deb [ option=value ] uri suite component...`. */
function addressesOfLines(text: string): string[] {
  return [...text.matchAll(/^[ \t]*deb[ \t]+(?:\[[^\]\n]*\][ \t]*)?([^\s[]+)[ \t]+\S/gm)].map(
    ([, uri = '']) => uri,
  );
}

/** Deb822 style: paragraphs of fields; a line that begins with a space goes on with the field before it. */
function addressesOfParagraphs(text: string): string[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n[ \t]*\n/)
    .flatMap((paragraph) => {
      const field = (name: string): string =>
        new RegExp(`^${name}:(.*(?:\\n[ \\t].*)*)`, 'im').exec(paragraph)?.[1] ?? '';
      const isOn = !/^\s*(?:no|false|off|0|without|disable)\s*$/i.test(field('Enabled'));
      const isBinary = field('Types').trim().split(/\s+/).includes('deb');
      return isOn && isBinary ? field('URIs').trim().split(/\s+/) : [];
    });
}

/**
 * The first mirrors of `debian` and `debian-security` in these files (`.sources` or `.list`), else deb.debian.org's.
 * Only http and https count: what else apt takes (cdrom, mirror lists, transports of plugins) need not work elsewhere.
 */
export function mirrorsIn(files: readonly { name: string; text: string }[]): Mirrors {
  const addresses = files
    .flatMap(({ name, text }) =>
      name.endsWith('.sources') ? addressesOfParagraphs(text) : addressesOfLines(text),
    )
    .filter((address) => /^https?:\/\/[^\s"\\]+$/.test(address))
    .map((address) => address.replace(/\/+$/, ''));
  const ending = (name: string): string | undefined =>
    addresses.find((address) => address.endsWith(`/${name}`));
  return {
    debian: ending('debian') ?? usual.debian,
    security: ending('debian-security') ?? usual.security,
  };
}

const textOrNone = async (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });

/** {@link mirrorsIn} the sources of this machine, in apt's order; a machine without apt gets the usual ones. */
export async function hostMirrors(): Promise<Mirrors> {
  const parts = '/etc/apt/sources.list.d';
  const names = await readdir(parts).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const files = ['/etc/apt/sources.list', ...names.toSorted().map((name) => path.join(parts, name))];
  const wanted = files.filter((name) => /\.(?:list|sources)$/.test(name));
  return mirrorsIn(await Promise.all(wanted.map(async (name) => ({ name, text: await textOrNone(name) }))));
}
