/** What was recorded with swtpm, see transcripts/README.md. */
import { readFileSync } from 'node:fs';

/** Bytes of a hex text. */
export const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** One command and its response, in hex. */
export interface Exchange {
  readonly name: string;
  readonly note?: string;
  readonly cmd: string;
  readonly rsp: string;
}

/** Files of exchanges in the order in which they were made. */
export const logs = ['e1', 'e2', 'e3', 'e4', 'e8'] as const;
type Log = (typeof logs)[number];

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`./transcripts/${name}.json`, import.meta.url), 'utf8'));

/** All exchanges of one file. */
export function exchanges(name: Log): readonly Exchange[] {
  const file: readonly Exchange[] | { readonly log: readonly Exchange[] } = read(name);
  return 'log' in file ? file.log : file;
}

/** The exchanges of one file with this note; at least one. */
export function noted(name: Log, note: string): readonly Exchange[] {
  const found = exchanges(name).filter((exchange) => exchange.note === note);
  if (found.length === 0) throw new Error(`no exchange in ${name} has the note: ${note}`);
  return found;
}

const member = (object: unknown, name: string): unknown =>
  typeof object === 'object' && object !== null
    ? Object.entries(object).find(([key]) => key === name)?.[1]
    : null;

/** A group of values (`group` or `group.part`) that were derived from an exchange; a value that is missing throws. */
export function vector(name: Log, group: string): (field: string) => Buffer {
  const { vectors }: { readonly vectors: unknown } = read(name);
  const values = group.split('.').reduce(member, vectors);
  return (field) => {
    const value = member(values, field);
    if (typeof value !== 'string') throw new Error(`no value ${group}.${field} in ${name}`);
    return hex(value);
  };
}

/** A primary key of the TPM whose state the recordings began with. */
export interface PrimaryRow {
  readonly template: string;
  readonly hierarchy: string;
  readonly inPublic: string;
  readonly outPublic: string;
  readonly name: string;
  readonly cmd: string;
}

/** Rows of deterministic_primaries.json. */
export function primaryRows(): readonly PrimaryRow[] {
  const { rows }: { readonly rows: readonly PrimaryRow[] } = read('deterministic_primaries');
  return rows;
}
