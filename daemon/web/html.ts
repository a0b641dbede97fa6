/** HTML by template: everything that is put in is escaped, unless it is HTML itself. */

/** Text that is HTML already; only {@link html} makes it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may be put into a template; `null`, `undefined` and `false` leave nothing. */
export type Part = Html | string | number | null | undefined | false | readonly Part[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand between tags and in quoted attributes. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character] ?? '');

function textOf(part: Part): string {
  if (part === null || part === undefined || part === false) return '';
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(textOf).join('');
  return escaped(String(part));
}

/** A template. Attributes must be in quotes, and none of them may hold code or the address of another site. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(
    strings.reduce((text, string, index) => `${text}${textOf(parts[index - 1] ?? null)}${string}`),
  );
}

/** A time for people and for machines; null: a dash. */
export function timeOf(at: number | null): Html {
  if (at === null || !(Math.abs(at) < 8.64e15)) return html`–`;
  const iso = new Date(at).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)}</time>`;
}

/** An address of these pages with a query; empty values are left out. */
export function linkTo(path: string, query: Readonly<Record<string, string | number | null>>): string {
  const entries = Object.entries(query).flatMap(([key, value]): [string, string][] =>
    value === null || value === '' ? [] : [[key, String(value)]],
  );
  return entries.length === 0 ? path : `${path}?${new URLSearchParams(entries)}`;
}
