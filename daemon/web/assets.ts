/** Script, style and icon of the pages: plain files beside this one, read once and named by what is in them. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const types: Readonly<Record<string, string>> = {
  'pages.css': 'text/css; charset=utf-8',
  'live.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

/** The files in memory. */
export interface Assets {
  /** Changes with any of them. */
  readonly hash: string;
  /** Null: there is none of this name. */
  of(name: string): { readonly type: string; readonly bytes: Buffer } | null;
}

/** Where they are: beside this file, or, when the program is bundled, where its build puts them. */
function folder(): string {
  const here = path.dirname(fileURLToPath(import.meta.url));
  const beside = path.join(here, 'assets');
  return existsSync(beside) ? beside : path.join(here, 'web/assets');
}

/** Reads all of them. @throws errors of the file system: the installation is broken then */
export async function readAssets(): Promise<Assets> {
  const files = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  const hash = createHash('sha256');
  for (const [name, type] of Object.entries(types)) {
    const bytes = await readFile(path.join(folder(), name));
    hash.update(bytes);
    files.set(name, { type, bytes });
  }
  return { hash: hash.digest('hex').slice(0, 16), of: (name) => files.get(name) ?? null };
}
