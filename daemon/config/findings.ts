/** Turns what zod and the YAML parser complain about into findings: where, which field, what was expected. */
import { z } from 'zod';

/** One thing that is wrong with a file. */
export interface Finding {
  /** Path of the field, from the root of the document. */
  readonly path: readonly (string | number)[];
  /** What was expected, and what was found. */
  readonly message: string;
  /** The finding is about the key at the path (an unknown field), not about its value. */
  readonly isAboutKey: boolean;
}

/** Values of these fields never appear in a message: messages end in logs. */
const secretFields: ReadonlySet<string> = new Set(['token']);
const longestShownValue = 60;
/** More complaints than anybody reads are not worked out. */
const maxIssues = 100;

/** A value as a message shows it: short, on one line. */
function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > longestShownValue ? `${text.slice(0, longestShownValue)}...` : text;
}

function valueAt(root: unknown, path: readonly (string | number)[]): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

const typeNames: Readonly<Record<string, string>> = {
  object: 'a map',
  array: 'a list',
  int: 'a whole number',
  boolean: 'true or false',
};
const quoted = (values: readonly unknown[]): string =>
  `${values.length > 1 ? 'one of ' : ''}${values.map((value) => JSON.stringify(value)).join(', ')}`;

/** Number of single-letter edits between two words, for hints. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (isSame ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The known word that was probably meant, or null. */
export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > 64) return null;
  const wanted = word.toLowerCase().replaceAll(/[_-]/g, '');
  const ranked = known
    .map((name) => ({ name, edits: distance(wanted, name.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best && best.edits <= Math.max(1, Math.floor(wanted.length / 3)) ? best.name : null;
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  /** What all entries of a map with names of one's own are. */
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
}

/** Names of the fields that a schema has at a path; those of all variants together. */
function knownFields(schema: SchemaNode, path: readonly (string | number)[]): string[] {
  let nodes = [schema];
  const variants = (node: SchemaNode): readonly SchemaNode[] => node.oneOf ?? node.anyOf ?? [node];
  for (const part of path) {
    nodes = nodes
      .flatMap(variants)
      .map((node) =>
        typeof part === 'number' ? node.items : (node.properties?.[part] ?? node.additionalProperties),
      )
      .filter((node) => typeof node === 'object');
  }
  return [...new Set(nodes.flatMap(variants).flatMap((node) => Object.keys(node.properties ?? {})))];
}

/** What one issue expected, in words that follow "expected"; null when the message stands alone. */
function expectation(issue: z.core.$ZodIssue): string | null {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return quoted(issue.values);
    case 'too_small':
    case 'too_big': {
      const [limit, word] =
        issue.code === 'too_small' ? [issue.minimum, 'at least'] : [issue.maximum, 'at most'];
      if (issue.origin === 'string') return `${word} ${limit} characters`;
      return issue.origin === 'array' ? `${word} ${limit} entries` : `${word} ${limit}`;
    }
    case 'invalid_format':
      return issue.format === 'url' ? 'a URL that begins with https://' : issue.message;
    case 'invalid_union': {
      const { options } = issue as { options?: readonly unknown[] };
      return options ? quoted(options) : 'another form';
    }
    default:
      return null;
  }
}

/** All findings behind a zod error. */
export function findingsOf(error: z.ZodError, schema: z.ZodType, input: unknown): Finding[] {
  const described = z.toJSONSchema(schema, { io: 'input' }) as SchemaNode;
  return error.issues.slice(0, maxIssues).flatMap((issue): Finding[] => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      const known = knownFields(described, path);
      return issue.keys.slice(0, maxIssues).map((key) => {
        const meant = nearest(key, known);
        const hint = meant ? `; did you mean "${meant}"?` : `; known here: ${known.join(', ')}`;
        return {
          path: [...path, key.slice(0, longestShownValue)],
          message: `unknown field${hint}`,
          isAboutKey: true,
        };
      });
    }
    const expected = expectation(issue);
    if (expected === null) return [{ path, message: issue.message, isAboutKey: false }];
    const value = valueAt(input, path);
    const isSecret = secretFields.has(String(path.at(-1)));
    let got = isSecret ? 'something else' : show(value);
    if (value === undefined) got = 'nothing';
    if (issue.code === 'too_big' && (Array.isArray(value) || typeof value === 'string'))
      got = `${value.length}`;
    return [{ path, message: `expected ${expected}, got ${got}`, isAboutKey: false }];
  });
}
