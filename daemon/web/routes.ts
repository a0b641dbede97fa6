/** What a page module offers to the server: paths, and what answers them. */

import type { Part } from './html.ts';
import type { Notice, Viewer } from './layout.ts';
import type { Session } from './sessions.ts';
import type { PageSources, PageUser, Right } from './sources.ts';

/** One request of somebody who is logged in and may look. */
export interface Visit {
  readonly user: PageUser;
  readonly viewer: Viewer;
  readonly session: Session;
  readonly query: URLSearchParams;
  /** Parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Of a POST; empty else. */
  readonly form: URLSearchParams;
  /** Whether they may do this, too. @throws SurfacedError E_PAGES_ASK */
  may(right: Right, surface: string): Promise<boolean>;
}

/** A page to show. */
export interface ShownPage {
  readonly title: string;
  readonly main: Part;
  /** Left out: 200. */
  readonly status?: number;
}

/** Something was done or refused: said on the page that comes next. */
export interface Moved {
  readonly to: string;
  readonly notice: Notice;
}

/** A page, a way on, or a part of a page that a script asked for. */
export type Answer = ShownPage | Moved | { readonly fragment: string };

/** One path. All of them need a log-in and the right to look. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** As fastify takes it. */
  readonly path: string;
  /** Path in the navigation that it belongs to. */
  readonly at: string;
  readonly answer: (visit: Visit) => Answer | Promise<Answer>;
}

/** What page modules are made of. */
export interface PageParts {
  readonly sources: PageSources;
}

/** A page that says that there is no such thing. */
export const notFound = (what: string): ShownPage => ({ title: 'Not found', main: what, status: 404 });

/** A whole number of a query within bounds; `otherwise` when it is none. */
export function numberIn(text: string | null, least: number, most: number, otherwise: number): number {
  if (text === null || !/^\d{1,9}$/.test(text)) return otherwise;
  return Math.min(most, Math.max(least, Number(text)));
}

/** A text of a query or form, without blanks around it and cut to a length; null: empty. */
export function textIn(text: string | null, mostCharacters: number): string | null {
  const trimmed = (text ?? '').trim().slice(0, mostCharacters);
  return trimmed === '' ? null : trimmed;
}
