/** A surface's live panel: each binding with what its display shows now. */
import type { CommandRecord } from '../bridge/gateway/command.ts';
import type { SurfaceView } from '../bridge/gateway/relay.ts';
import type { PodLight } from '../surface/types.ts';
import { type Html, html, timeOf } from './html.ts';
import type { KnownSurface } from './sources.ts';

type Slot = SurfaceView['slots'][number];

/** Most lights that are drawn for one binding; the rest is a number. */
const mostLights = 64;

const lightWords: Readonly<Record<PodLight, string>> = {
  ready: 'ready',
  running: 'running, not ready',
  pending: 'pending',
  crashed: 'crashed',
  terminating: 'going',
};

const stateWords: Readonly<Record<Slot['body']['condition']['state'], string>> = {
  ok: 'as asked',
  progressing: 'under way',
  blocked: 'blocked',
  missing: 'target missing',
  denied: 'not allowed to look',
  unreachable: 'API server away',
  unknown: 'not known yet',
};

/** What a trust state is called, and why it is so. */
export function trustOf({ trust, view, isRevoked }: KnownSurface): { state: string; words: string } {
  if (isRevoked) return { state: 'revoked', words: 'revoked by an operator' };
  if (trust === null) return { state: 'token', words: 'not attested: no TPM is approved for it' };
  const level = trust.level === null ? '' : `, level ${trust.level}`;
  const isGone = view !== null && !view.isOnline && trust.state === 'trusted' ? ' (offline)' : '';
  return { state: trust.state, words: `${trust.state}${level}${isGone}` };
}

function lightsOf({ body }: Slot): Html {
  const counts = new Map<PodLight, number>();
  for (const [, light] of body.pods) counts.set(light, (counts.get(light) ?? 0) + 1);
  const all = body.pods.length + body.podsLeftOut;
  const parts = [...counts].map(([light, count]) => `${count} ${lightWords[light]}`);
  const words = all === 0 ? 'no Pods' : `${all} Pods: ${parts.join(', ')}`;
  const more = all - Math.min(body.pods.length, mostLights);
  return html`<div class="lights" role="img" aria-label="${words}" title="${words}">${body.pods
    .slice(0, mostLights)
    .map(
      ([, light]) => html`<i class="${light}"></i>`,
    )}${more > 0 ? html`<span>+${more}</span>` : null}</div>`;
}

function slotOf(slot: Slot, surface: KnownSurface): Html {
  const { binding, body } = slot;
  const { condition, desired, owner } = body;
  const most: number | undefined = binding.max;
  const last = lastOf(slot, surface);
  const place = `${binding.control}${binding.bank > 0 ? `, bank ${binding.bank}` : ''}`;
  const reason = [condition.reason, condition.message].filter((words) => words !== '').join(': ');
  const numbers =
    desired === null
      ? html`<b>–</b>`
      : html`<b>${body.ready}</b><span>/${desired}</span><span class="unseen"> Pods are ready of those asked for</span>`;
  return html`<li class="slot colour-${body.colour}" data-state="${condition.state}" data-says="${body.name} on ${surface.name}: ${stateWords[condition.state]}${reason && `, ${reason}`}">
<p class="slot-head"><span class="name">${body.name}</span> <span class="place">${place}</span></p>
<p class="numbers" data-slot="${body.name}">${numbers}</p>
${desired !== null && most !== undefined && html`<meter min="0" max="${Math.max(most, desired)}" value="${desired}" aria-label="${body.name}: asked for, of at most ${most}">${desired}</meter>`}
${lightsOf(slot)}
<p class="state">${stateWords[condition.state]}${body.observed !== desired && desired !== null && body.observed > 0 ? html`, ${body.observed} there` : null}</p>
${reason !== '' && html`<p class="reason">${reason}</p>`}
${owner && html`<p class="owner">${owner.kind === 'autoscaler' ? 'autoscaler' : 'GitOps'}: ${owner.name}</p>`}
${last && html`<p class="asked">last asked: ${last.want ?? '–'}, ${last.phase} ${timeOf(last.endedAt)}</p>`}
</li>`;
}

/** Slots are numbered anew when bindings change: what was asked of another target is not told of this one. */
function lastOf({ slot, binding: { target } }: Slot, { lastCommands }: KnownSurface): CommandRecord | null {
  const last = lastCommands.get(slot);
  const isOfThis =
    last?.target?.apiVersion === target.apiVersion &&
    last.target.kind === target.kind &&
    last.target.namespace === target.namespace &&
    last.target.name === target.name;
  return last && isOfThis ? last : null;
}

/** The part of a page that is brought up to date as long as somebody looks. */
export function panelOf(surface: KnownSurface): Html {
  const { name, view } = surface;
  const trust = trustOf(surface);
  const bound = new Set(view?.slots.map(({ binding }) => binding.control) ?? []);
  const unbound = (view?.controls ?? []).filter((control) => !bound.has(control.name));
  const facts: (Html | string)[] = [
    html`<span class="chip ${view?.isOnline ? 'online' : 'offline'}">${view?.isOnline ? 'online' : 'offline'}</span>`,
    html`<span class="chip trust-${trust.state}">${trust.words}</span>`,
    ...(view?.model ? [html`<span>${view.model}</span>`] : []),
    ...(view?.firmware ? [html`<span>firmware ${view.firmware}</span>`] : []),
  ];
  return html`<div class="panel" id="panel-${name}" data-state="${view?.isOnline ? 'online' : 'offline'}" data-says="${name} is ${view?.isOnline ? 'online' : 'offline'}, ${trust.words}">
<p class="facts">${facts.map((fact) => html`${fact} `)}</p>
${surface.trust && surface.trust.state !== 'trusted' && html`<p class="problem">${surface.trust.reason}</p>`}
${(view?.problems ?? []).map((problem) => html`<p class="problem">${problem}</p>`)}
${
  view === null
    ? html`<p class="empty">This gateway does not serve it now.</p>`
    : view.slots.length === 0
      ? html`<p class="empty">Nothing is bound to its controls.</p>`
      : html`<ul class="slots">${[...view.slots].sort(inPanelOrder).map((slot) => slotOf(slot, surface))}</ul>`
}
${unbound.length > 0 && html`<p class="unbound">Not bound: ${unbound.map((control) => control.name).join(', ')}</p>`}
</div>`;
}

/** As the operator has listed them, bank by bank. */
const inPanelOrder = (one: Slot, other: Slot): number =>
  one.binding.bank - other.binding.bank || one.slot - other.slot;
