/** What somebody looks for in the audit log: from a form to a query and back. */
import { type Html, html } from '../html.ts';
import { textIn } from '../routes.ts';
import type { AuditPage, AuditQuery } from '../sources.ts';

/** Records on one page. */
export const onOnePage = 50;

/** `2026-11-24` or `2026-11-24T10:30`, UTC, as the browser's own fields give them; null: none. */
export function timeIn(text: string | null): number | null {
  const [, date, time = '00:00'] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::\d\d)?)?Z?$/.exec(text ?? '') ?? [];
  const at = date === undefined ? Number.NaN : Date.parse(`${date}T${time}:00Z`);
  return Number.isNaN(at) ? null : at;
}

/** Whatever cannot be read counts as not given. @param kind that is wanted whatever the query says; null: as it says */
export const queryOf = (query: URLSearchParams, kind: string | null): AuditQuery => ({
  surface: textIn(query.get('surface'), 63),
  kind: kind ?? textIn(query.get('kind'), 32),
  from: timeIn(query.get('from')),
  to: timeIn(query.get('to')),
  text: textIn(query.get('text'), 100),
  before: textIn(query.get('before'), 40),
  most: onOnePage,
});

const fieldOf = (at: number | null): string => (at === null ? '' : new Date(at).toISOString().slice(0, 16));

/** The fields that all searches have. */
export const searchFields = ({ surface, from, to, text }: AuditQuery): Html => html`
<p class="field"><label for="surface">Surface</label> <input id="surface" name="surface" value="${surface ?? ''}" maxlength="63" autocapitalize="none"></p>
<p class="field"><label for="from">From (UTC)</label> <input id="from" name="from" type="datetime-local" value="${fieldOf(from)}"></p>
<p class="field"><label for="to">To (UTC)</label> <input id="to" name="to" type="datetime-local" value="${fieldOf(to)}"></p>
<p class="field"><label for="text">Text</label> <input id="text" name="text" value="${text ?? ''}" maxlength="100"></p>`;

/** How far was looked, and the way on. */
export function wayOn(found: AuditPage, path: string, query: URLSearchParams): Html {
  const next = new URLSearchParams(query);
  next.set('before', found.next ?? '');
  const newest = new URLSearchParams(query);
  newest.delete('before');
  const mib = (found.bytesRead / (1 << 20)).toFixed(1);
  return html`<nav class="pages" aria-label="Pages of this list"><ul>
${query.has('before') && html`<li><a href="${path}?${newest.toString()}">Newest</a></li>`}
<li>${found.lines.length} found in ${mib} MiB${found.isCutShort && ', there is more to look through'}${found.unreadable > 0 && `, ${found.unreadable} lines are no records: verify the log`}</li>
${found.next === null ? html`<li>that was the beginning</li>` : html`<li><a href="${path}?${next.toString()}" rel="next">Older</a></li>`}
</ul></nav>`;
}
