/** Last steps: the same tree for the same input, and nothing in it that runs with more rights than it needs. */
import path from 'node:path';
import type { Toolbox } from '../toolbox/toolbox.ts';

/** The only files with set-user-id or set-group-id bits: root owns all else that others may run. */
export const setuidFiles: readonly string[] = ['usr/bin/sudo'];

/** Copies that tools make before they change a file, locks, and what they keep to be quicker. */
const leftovers = [
  'etc/.pwd.lock',
  ...['passwd', 'group', 'shadow', 'gshadow', 'subuid', 'subgid'].map((name) => `etc/${name}-`),
  ...['etc/ld.so.cache', 'usr/lib/udev/hwdb.bin'],
] as const;

/**
 * Removes leftovers and set-user-id bits, and makes no file younger than `epoch` (seconds since 1970). To be called again
 * by whoever adds files to the tree afterwards.
 */
export async function finishRoot(toolbox: Toolbox, root: string, epoch: number): Promise<void> {
  const script = `
    cd "$1"
    rm -f ${leftovers.join(' ')}
    find . -xdev -type f -perm /6000 ${setuidFiles.map((name) => `! -path ./${name}`).join(' ')} -exec chmod a-s {} +
    find . -xdev -newermt "@$2" -print0 | xargs -0 -r touch --no-dereference --date="@$2"
  `;
  await toolbox.run('sh', ['-euc', script, 'sh', root, String(epoch)], { binds: [root] });
}

/** Megabytes (10^6 bytes on disk) of the folders in `/` and `/usr`, largest first, as text for people. */
export async function sizesOf(toolbox: Toolbox, root: string): Promise<string> {
  const output = await toolbox.run('du', ['--max-depth=2', '--block-size=1000000', root], { binds: [root] });
  const folders = output
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([size = '', folder = '']) => ({ size: Number(size), name: path.relative(root, folder) }))
    .filter(
      ({ name, size }) => size > 1 && name !== 'usr' && (!name.includes('/') || name.startsWith('usr/')),
    )
    .sort((one, other) => other.size - one.size);
  return folders.map(({ name, size }) => `/${name} ${size} MB`).join(', ');
}
