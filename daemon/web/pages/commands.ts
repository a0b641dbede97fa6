/** Commands with their ends, from the audit log. */
import { html, timeOf } from '../html.ts';
import type { Answer, PageParts, Route, Visit } from '../routes.ts';
import { queryOf, searchFields, wayOn } from './audit-query.ts';

export function commandPages({ sources }: PageParts): readonly Route[] {
  const list = async ({ query }: Visit): Promise<Answer> => {
    const wanted = queryOf(query, 'command');
    const found = await sources.searchAudit(wanted);
    const rows = found.lines.flatMap(({ seq, command }) => {
      if (command === null) return [];
      const { target, issuedAt, receivedAt, endedAt } = command;
      const tookMs = endedAt - (issuedAt ?? receivedAt);
      return html`<tr class="end-${command.phase === 'converged' ? 'good' : 'bad'}">
<th scope="row">${timeOf(endedAt)}</th>
<td data-label="Surface"><a href="/surfaces/${command.surface}">${command.surface}</a></td>
<td data-label="Target">${target ? `${target.kind} ${target.namespace}/${target.name}` : 'none'}</td>
<td data-label="Asked">${command.verb !== null && command.verb !== 'scale' && `${command.verb} `}${command.saw ?? '?'} → ${command.want ?? '?'}${command.arm.length > 0 && ` (armed: ${command.arm.join(', ')})`}</td>
<td data-label="End"><b>${command.phase}</b> ${command.code}${command.detail !== '' && html`<br>${command.detail}`}</td>
<td data-label="Took">${(tookMs / 1000).toFixed(1)} s</td>
<td data-label="Record"><code>${seq}</code> ${command.id}</td></tr>`;
    });
    const main = html`
<form class="search" role="search" action="/commands">${searchFields(wanted)} <button>Search</button></form>
${
  rows.length === 0
    ? html`<p class="empty">No command fits.</p>`
    : html`<table class="stacking"><thead><tr><th scope="col">Ended (UTC)</th><th scope="col">Surface</th><th scope="col">Target</th><th scope="col">Asked</th><th scope="col">End</th><th scope="col">Took</th><th scope="col">Record, id</th></tr></thead><tbody>${rows}</tbody></table>`
}
${wayOn(found, '/commands', query)}`;
    return { title: 'Commands', main };
  };
  return [{ method: 'GET', path: '/commands', at: '/commands', answer: list }];
}
