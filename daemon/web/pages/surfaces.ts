/** The surfaces with their live panels, and one of them with what can be done to it. */

import { type Html, html, linkTo, timeOf } from '../html.ts';
import { formToken } from '../layout.ts';
import { liveLimits } from '../live.ts';
import { panelOf, trustOf } from '../panel.ts';
import { rightWords } from '../rights.ts';
import {
  type Answer,
  notFound,
  numberIn,
  type PageParts,
  type Route,
  textIn,
  type Visit,
} from '../routes.ts';
import type { KnownSurface } from '../sources.ts';

/** Surfaces on one page: as many as one stream brings up to date. */
const onOnePage = liveLimits.surfacesOfOneStream;

/** What a script brings up to date from here on, and what is told without one. */
export const liveOf = (names: readonly string[], content: Html): Html =>
  html`<p class="live" id="live" role="status">These numbers are of the time when the page was opened.</p>
<div data-live="${linkTo('/events', { surfaces: names.join(',') })}">${content}</div>
<p class="unseen" id="says" role="status" aria-live="polite"></p>`;

/** Links between pages of a list. */
export function pagesOf(path: string, query: Record<string, string | null>, at: number, count: number): Html {
  if (count <= 1) return html``;
  const link = (page: number, words: string): Html =>
    html`<a href="${linkTo(path, { ...query, page: page === 1 ? null : page })}">${words}</a>`;
  return html`<nav class="pages" aria-label="Pages of this list"><ul>
${at > 1 && html`<li>${link(at - 1, 'Before')}</li>`}
<li>page ${at} of ${count}</li>
${at < count && html`<li>${link(at + 1, 'Next')}</li>`}
</ul></nav>`;
}

export function surfacePages({ sources }: PageParts): readonly Route[] {
  const list = ({ query }: Visit): Answer => {
    const wanted = textIn(query.get('q'), 63);
    const names = sources.names().filter((name) => wanted === null || name.includes(wanted));
    const pages = Math.max(1, Math.ceil(names.length / onOnePage));
    const page = numberIn(query.get('page'), 1, pages, 1);
    const shown = names.slice((page - 1) * onOnePage, page * onOnePage);
    const surfaces = shown.flatMap((name) => sources.surface(name) ?? []);
    const problems = sources.problems();
    const main = html`
${
  problems.length > 0 &&
  html`<section class="problems" aria-labelledby="problems"><h2 id="problems">To see to</h2><ul>${problems
    .slice(0, 20)
    .map(
      (problem) => html`<li>${problem}</li>`,
    )}</ul>${problems.length > 20 && html`<p>and ${problems.length - 20} more</p>`}</section>`
}
<form class="search" role="search" action="/surfaces"><label for="q">Name</label> <input id="q" name="q" value="${wanted ?? ''}" maxlength="63" autocapitalize="none"> <button>Search</button></form>
${
  surfaces.length === 0
    ? html`<p class="empty">${wanted === null ? 'There are no surfaces yet. Those that knock are under Approvals.' : 'No surface has this in its name.'}</p>`
    : liveOf(
        shown,
        html`${surfaces.map(
          (surface) => html`<article class="surface" aria-labelledby="name-${surface.name}">
<h2 id="name-${surface.name}"><a href="/surfaces/${surface.name}">${surface.name}</a></h2>
${panelOf(surface)}
</article>`,
        )}`,
      )
}
${pagesOf('/surfaces', { q: wanted }, page, pages)}`;
    return { title: 'Surfaces', main };
  };

  const one = async (visit: Visit): Promise<Answer> => {
    const surface = sources.surface(visit.params.name ?? '');
    if (surface === null) return notFound('There is no such surface.');
    const { name } = surface;
    const main = html`
<ul class="ways"><li><a href="/surfaces/${name}/evidence">Evidence and verdict</a></li>
<li><a href="${linkTo('/bindings', { q: name })}">Bindings and rights</a></li>
<li><a href="${linkTo('/commands', { surface: name })}">Commands</a></li>
<li><a href="${linkTo('/audit', { surface: name })}">Audit</a></li></ul>
${liveOf([name], panelOf(surface))}
<section aria-labelledby="trust"><h2 id="trust">Trust</h2>${trustTable(surface)}</section>
<section aria-labelledby="revoke"><h2 id="revoke">${surface.isRevoked ? 'Let it act again' : 'Revoke'}</h2>${await revokeForm(visit, surface)}</section>`;
    return { title: name, main };
  };

  const revokeForm = async (visit: Visit, { name, isRevoked }: KnownSurface): Promise<Html> => {
    if (!(await visit.may('revoke', name)))
      return html`<p>You may not do this: it needs ${rightWords.revoke} in namespace ${sources.namespace}.</p>`;
    return html`<form method="post" action="/surfaces/${name}/revoke">${formToken(visit.viewer)}
<p>${
      isRevoked
        ? 'It has to prove itself anew before it acts.'
        : 'Its sessions end at once, and none begins until this is taken back.'
    }</p>
<p class="field"><label for="confirm">Name of the surface, to confirm</label> <input id="confirm" name="confirm" required autocomplete="off" autocapitalize="none" maxlength="63"></p>
<input type="hidden" name="revoked" value="${isRevoked ? 'no' : 'yes'}">
<button${!isRevoked && html` class="danger"`}>${isRevoked ? 'Let it act again' : 'Revoke'}</button></form>`;
  };

  const revoke = async (visit: Visit): Promise<Answer> => {
    const name = visit.params.name ?? '';
    if (sources.surface(name) === null) return notFound('There is no such surface.');
    const to = `/surfaces/${name}`;
    const refused = (words: string): Answer => ({ to, notice: { kind: 'refused', words } });
    if (!(await visit.may('revoke', name))) return refused(`this needs ${rightWords.revoke}`);
    if (visit.form.get('confirm')?.trim() !== name) return refused(`type ${name} to confirm`);
    const wanted = visit.form.get('revoked');
    // What is not said is not done: taking a revocation back least of all.
    if (wanted !== 'yes' && wanted !== 'no')
      return refused('the form does not say what is wanted: open the page again');
    const words = await sources.setRevoked(name, wanted === 'yes', visit.user);
    return { to, notice: { kind: 'done', words } };
  };

  return [
    { method: 'GET', path: '/surfaces', at: '/surfaces', answer: list },
    { method: 'GET', path: '/surfaces/:name', at: '/surfaces', answer: one },
    { method: 'POST', path: '/surfaces/:name/revoke', at: '/surfaces', answer: revoke },
  ];
}

function trustTable(surface: KnownSurface): Html {
  const { trust, assertedLevel, policy } = surface;
  const rows: [string, Html | string][] = [
    ['State', trustOf(surface).words],
    ...(trust
      ? ([
          ['Because', trust.reason],
          ['Endorsement key (SHA-256)', fingerprint(trust.ekSha256)],
          ['Last accepted evidence', timeOf(trust.attestedAt)],
          ['Software, by its own word', trust.firmware ?? '–'],
        ] satisfies [string, Html | string][])
      : []),
    ...(assertedLevel === null
      ? []
      : ([['Level that you assert', `${assertedLevel}`]] as [string, string][])),
    ['Reference values', policy ?? 'none'],
  ];
  return html`<dl>${rows.map(([term, words]) => html`<dt>${term}</dt><dd>${words}</dd>`)}</dl>`;
}

/** A hash in groups of four, as people compare it. */
export const fingerprint = (hex: string): Html =>
  html`<code class="hash">${hex.match(/.{1,4}/g)?.map((group) => html`<span>${group}</span> `) ?? hex}</code>`;
