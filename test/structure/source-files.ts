/** The project's own source files and what they import, for the tests of its structure. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** Paths from the root of all TypeScript files below a folder of the project. */
export function sourceFiles(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(path.join(root, folder), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
      .filter((file) => !file.includes('node_modules') && !file.includes('.tap/'))
      .sort(),
  );
}

export const textOf = (file: string): string => readFileSync(path.join(root, file), 'utf8');

export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** For a relative one: the file from the root of the project. */
  readonly file: string | null;
  /** `import type` and `export type`: nothing is left of it at run time. */
  readonly isTypeOnly: boolean;
}

/** All imports of a text: static, re-exports and dynamic ones with a literal. */
export function importsOf(file: string, text: string): Import[] {
  const code = text.replaceAll(/^\s*(?:\/\/.*|\*.*|\/\*.*)$/gm, '');
  const found: { specifier: string; isTypeOnly: boolean }[] = [];
  const statements = [
    /^\s*(?:import|export)\s+(?<type>type\s+)?(?:[\w*$\s{},]+?\s+)?from\s+['"](?<specifier>[^'"]+)['"]/gm,
    /^\s*import\s+['"](?<specifier>[^'"]+)['"]/gm,
  ];
  for (const { groups } of statements.flatMap((pattern) => [...code.matchAll(pattern)]))
    found.push({ specifier: groups!.specifier!, isTypeOnly: groups!.type !== undefined });
  for (const [, specifier] of code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g))
    found.push({ specifier: specifier!, isTypeOnly: false });
  return found.map((item) => ({
    ...item,
    file: item.specifier.startsWith('.')
      ? path.normalize(path.join(path.dirname(file), item.specifier))
      : null,
  }));
}
