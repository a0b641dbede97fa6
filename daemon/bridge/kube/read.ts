/** Access to JSON of unknown shape: whatever is missing or of the wrong type reads as empty. */

/** A JSON object of unknown shape. */
export type Fields = Readonly<Record<string, unknown>>;

const none: Fields = Object.freeze({});

/** The value as an object; an empty one when it is none. */
export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : none;
}

/** The value as an array; an empty one when it is none. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * The value as a string of bounded length; empty when it is none.
 * A cut string is copied: V8 would keep the whole original alive behind the slice.
 */
export function text(value: unknown, maxLength = 253): string {
  if (typeof value !== 'string') return '';
  return value.length <= maxLength ? value : Buffer.from(value.slice(0, maxLength)).toString();
}

/** The value as a whole number of zero or more. */
export function count(value: unknown, otherwise = 0): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : otherwise;
}

/** An RFC 3339 time as Unix milliseconds; 0 when it is none. */
export function time(value: unknown): number {
  const at = typeof value === 'string' && value.length <= 40 ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? 0 : at;
}
