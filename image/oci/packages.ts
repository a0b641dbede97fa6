/** Packages of Debian in the container image: what Node is linked against, and what programs take for granted. */
import type { Architecture } from '../package/architectures.ts';
import type { Selection } from '../root/extract.ts';

/** There is no shell, no package manager and no interpreter but Node. */
export function containerSelection(architecture: Architecture): Selection {
  return {
    architecture,
    components: ['main'],
    include: ['base-files', 'ca-certificates', 'libc6', 'libgcc-s1', 'libstdc++6'],
    // What base-files and ca-certificates run when they are installed, which never happens here.
    absent: ['awk', 'mawk', 'debconf', 'debconf-2.0', 'openssl'],
    excluded: [
      ...['locale', 'man', 'info', 'bug', 'lintian', 'doc-base', 'gdb'].map((name) => `/usr/share/${name}/*`),
      // Conversions of character sets, and programs that scripts run.
      '/usr/lib/*/gconv/*',
      '/usr/sbin/*',
    ],
  };
}
