/** What is known of the packages of the image: for the SBOM and for the duty to name licences. */

/** One package of Debian in the image. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Name of its source package, with the version in parentheses where that is another one. */
  readonly source: string;
  /** Licences that its copyright file names, as it writes them; null: that file is not made to be read by programs. */
  readonly licence: string | null;
}

/** Format of `dpkg-deb --showformat` of which {@link parsePackageList} reads the lines. */
export const packageListFormat =
  '$' +
  '{Package}\\t$' +
  '{Version}\\t$' +
  '{Architecture}\\t$' +
  '{source:Package}\\t$' +
  '{source:Version}\\n';

/** Lines of {@link packageListFormat}, sorted by name. Throws an error that names a line it cannot read. */
export function parsePackageList(text: string): Omit<DebianPackage, 'licence'>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name, version, architecture, source, sourceVersion, more] = line.split('\t');
      if (!name || !version || !architecture || !source || !sourceVersion || more !== undefined)
        throw new Error(`Not a line of the list of packages: ${JSON.stringify(line)}`);
      const hasOwnVersion = sourceVersion !== version;
      return { name, version, architecture, source: hasOwnVersion ? `${source} (${sourceVersion})` : source };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/**
 * Licences in a copyright file of the machine-readable form (DEP 5: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/),
 * in order of appearance, joined by `; `; null when it is of another form or names none.
 */
export function licenceOf(copyright: string): string | null {
  if (!/^Format:.*copyright-format/im.test(copyright.slice(0, 2_000))) return null;
  const names = [...copyright.matchAll(/^License:[ \t]*(\S[^\n]*)$/gim)].map(([, name = '']) => name.trim());
  return names.length === 0 ? null : [...new Set(names)].join('; ');
}
