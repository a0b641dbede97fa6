/**
 * Package URLs (purl-spec, "Rules for each purl component"): one name for a package of any kind, as SBOMs have it.
 * Types `deb` and `npm`: PURL-TYPES of the same specification.
 */

/** Percent-encodes all but letters, digits, `.`, `-`, `_`, `~` and the colon, which the specification leaves as it is. */
const encode = (text: string): string =>
  encodeURIComponent(text)
    .replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');

/** A package of Debian in this release, such as `debian-13`. */
export function debianPurl(
  { name, version, architecture }: { name: string; version: string; architecture: string },
  distribution: string,
): string {
  const qualifiers = `arch=${encode(architecture)}&distro=${encode(distribution)}`;
  return `pkg:deb/debian/${encode(name.toLowerCase())}@${encode(version)}?${qualifiers}`;
}

/** A package of npm; its scope, if it has one, is the namespace. */
export function npmPurl({ name, version }: { name: string; version: string }): string {
  return `pkg:npm/${name.toLowerCase().split('/').map(encode).join('/')}@${encode(version)}`;
}

/** Something that comes from no registry, such as the project itself. */
export function genericPurl({ name, version }: { name: string; version: string }): string {
  return `pkg:generic/${encode(name)}@${encode(version)}`;
}
