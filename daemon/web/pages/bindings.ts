/** What each control is bound to: whether the target is there, how it stands, and whether the surface may change it. */
import { type Html, html, linkTo } from '../html.ts';
import { type Answer, numberIn, type PageParts, type Route, textIn, type Visit } from '../routes.ts';
import type { BindingRights, KnownSurface } from '../sources.ts';
import { pagesOf } from './surfaces.ts';

/** Each costs a few questions to the API server. */
const surfacesOnOnePage = 5;

export function bindingPages({ sources }: PageParts): readonly Route[] {
  const list = async ({ query }: Visit): Promise<Answer> => {
    const wanted = textIn(query.get('q'), 63);
    const names = sources.names().filter((name) => wanted === null || name.includes(wanted));
    const pages = Math.max(1, Math.ceil(names.length / surfacesOnOnePage));
    const page = numberIn(query.get('page'), 1, pages, 1);
    const shown = names.slice((page - 1) * surfacesOnOnePage, page * surfacesOnOnePage);
    const sections = await Promise.all(
      shown.map(async (name) => {
        const surface = sources.surface(name);
        return surface && sectionOf(surface, await sources.bindingRights(name));
      }),
    );
    const main = html`
<form class="search" role="search" action="/bindings"><label for="q">Surface</label> <input id="q" name="q" value="${wanted ?? ''}" maxlength="63" autocapitalize="none"> <button>Search</button></form>
${sections.length === 0 ? html`<p class="empty">No surface has this in its name.</p>` : sections}
${pagesOf('/bindings', { q: wanted }, page, pages)}`;
    return { title: 'Bindings', main };
  };
  return [{ method: 'GET', path: '/bindings', at: '/bindings', answer: list }];
}

function sectionOf(surface: KnownSurface, rights: readonly BindingRights[]): Html {
  const { name, view } = surface;
  const isLacking = rights.some(({ checks }) => checks.some(({ isAllowed }) => !isAllowed));
  const head = html`<h2 id="of-${name}"><a href="/surfaces/${name}">${name}</a></h2>`;
  if (surface.isRevoked)
    return html`<section aria-labelledby="of-${name}">${head}<p>It is revoked: nothing is bound.</p></section>`;
  if (view === null)
    return html`<section aria-labelledby="of-${name}">${head}<p class="empty">This gateway does not serve it now.</p></section>`;
  if (view.slots.length === 0)
    return html`<section aria-labelledby="of-${name}">${head}<p class="empty">Nothing is bound to its controls.</p></section>`;
  const rows = view.slots.map(({ binding, body }) => {
    const { target, control, bank } = binding;
    const checks = rights.find((one) => one.control === control && one.bank === bank)?.checks ?? [];
    const { state, reason, message } = body.condition;
    const isThere = body.desired !== null;
    return html`<tr>
<th scope="row">${control}${bank > 0 && html`<br><span class="place">bank ${bank}</span>`}</th>
<td data-label="Target">${target.kind} <a href="${linkTo('/commands', { surface: name, text: target.name })}">${target.namespace}/${target.name}</a><br><span class="place">${target.apiVersion}</span></td>
<td data-label="Now">${isThere ? html`<span class="good">there</span>, asked ${body.desired}, ready ${body.ready}` : html`<span class="bad">${state === 'missing' ? 'not there' : 'not known'}</span>`}${state !== 'ok' && message !== '' && html`<br>${reason}: ${message}`}${body.owner && html`<br>${body.owner.kind} ${body.owner.name} decides, too`}</td>
<td data-label="Limits">${binding.min} to ${binding.max}, by ${binding.step}</td>
<td data-label="Rights"><ul class="checks">${checks.map(
      ({ what, isAllowed, reason: why }) =>
        html`<li class="${isAllowed ? 'good' : 'bad'}">${isAllowed ? 'may' : 'may not'} ${what}${!isAllowed && why !== '' && html` <span class="place">(${why})</span>`}</li>`,
    )}</ul></td>
</tr>`;
  });
  return html`<section aria-labelledby="of-${name}">${head}
<table class="stacking"><thead><tr><th scope="col">Control</th><th scope="col">Target</th><th scope="col">Now</th><th scope="col">Limits</th><th scope="col">Rights of the surface</th></tr></thead><tbody>${rows}</tbody></table>
${isLacking && html`<p class="problem">What it may not is answered with <i>denied</i>. The least rights that it needs: <code>surfaced rbac ${name}.yaml | kubectl apply -f -</code>, with its ControlSurface in that file.</p>`}
</section>`;
}
