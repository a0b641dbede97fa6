/** Programs of this machine in place of the toolbox's: enough for a small card, in a moment. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Tools } from '../../../image/card/fat.ts';

const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export const hostTools: Tools = {
  run: async (command, args, { env = {} } = {}) => {
    const environment = { PATH: folders.join(':'), LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env };
    const { stdout } = await promisify(execFile)(command, [...args], { env: environment });
    return stdout;
  },
};

/** Why a test with these programs does not run here, or false. */
export function missingPrograms(...names: string[]): string | false {
  const missing = names.filter((name) => !folders.some((folder) => existsSync(path.join(folder, name))));
  return missing.length === 0 ? false : `not on this machine: ${missing.join(', ')}`;
}
