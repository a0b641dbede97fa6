/** The control files of the Debian package that are made, not written. */
import type { Architecture } from './architectures.ts';

/** What is said in `control`. */
export interface ControlFields {
  /** As in package.json: semver. */
  readonly version: string;
  readonly architecture: Architecture;
  /** Entries for the libraries that the files need. */
  readonly libraries: readonly string[];
  readonly installedKibibytes: number;
}

/**
 * A version as dpkg sorts it: `1.2.0-rc.1` comes before `1.2.0` in semver, which Debian writes with `~`. What semver has
 * after `+` is no part of the order there and is left out.
 */
export function debianVersion(version: string): string {
  return version.replace(/\+.*$/, '').replace('-', '~');
}

/**
 * Debian wants an address of mail. The project has none (SECURITY.md says how it is reached), and a name that is not its own
 * would bother somebody: `.invalid` belongs to nobody for ever (RFC 6761, 6.4).
 */
const maintainer = 'surfaced maintainers <maintainers@surfaced.invalid>';

/** The control file (deb-control(5)). */
export function controlText(fields: ControlFields): string {
  const depends = [
    ...fields.libraries,
    // Units, users and folders are systemd's; 252 is that of Debian 12. udev gives groups to devices.
    'systemd (>= 252)',
    'udev',
  ];
  return `${[
    'Package: surfaced',
    `Version: ${debianVersion(fields.version)}`,
    `Architecture: ${fields.architecture}`,
    `Maintainer: ${maintainer}`,
    `Installed-Size: ${fields.installedKibibytes}`,
    `Depends: ${depends.join(', ')}`,
    'Section: net',
    'Priority: optional',
    'Description: physical control surface for Kubernetes',
    ' Turn a knob, scale a workload, see the Pods: the program for the surface, a',
    ' Raspberry Pi with faders, encoders and lights, and for its gateway.',
    ' .',
    ' Nothing runs until /etc/surfaced/device.yaml or /etc/surfaced/gateway.yaml',
    ' is there. Node.js is in the package.',
  ].join('\n')}\n`;
}

/** The `md5sums` file, for `dpkg --verify`. @param digests of each file by its path without a slash at the beginning */
export function md5sumsText(digests: ReadonlyMap<string, string>): string {
  const lines = [...digests].sort(([one], [other]) => (one < other ? -1 : 1));
  return lines.map(([file, digest]) => `${digest}  ${file}\n`).join('');
}
