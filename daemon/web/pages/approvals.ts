/** TPMs that wait, and the decision about one: what its panel shows is compared before anything else. */

import type { Quarantined } from '../../attest/trust/types.ts';
import type { Level } from '../../attest/types.ts';
import { SurfacedError } from '../../errors.ts';
import { type Html, html, timeOf } from '../html.ts';
import { formToken } from '../layout.ts';
import { rightWords } from '../rights.ts';
import { type Answer, notFound, type PageParts, type Route, textIn, type Visit } from '../routes.ts';
import { fingerprint } from './surfaces.ts';

/** The gateway's own word first: who knocks chooses the names in a certificate, and could have one say that it is good. */
const certificateOf = ({ hasTrustedCertificate, certificate }: Quarantined): Html =>
  hasTrustedCertificate
    ? html`leads to one of your roots`
    : html`<b>does not lead to one of your roots</b>${certificate !== '' && `: ${certificate}`}`;

const levels: readonly Level[] = [0, 1, 2, 3];

export function approvalPages({ sources }: PageParts): readonly Route[] {
  const mayNot = html`<p>You may not decide: it needs ${rightWords.approve} in namespace ${sources.namespace}.</p>`;

  const list = (visit: Visit): Answer => {
    const waiting = sources.waiting();
    const main =
      waiting.length === 0
        ? html`<p class="empty">No TPM waits for approval. A surface that knocks shows its pairing code on its panel and appears here.</p>`
        : html`<p>Compare code and key with what the panel in front of you shows. Whoever can reach the gateway can knock: what waits here has proved nothing yet.</p>
${!visit.viewer.mayApprove && mayNot}
<ul class="cards">${waiting.map(
            (one) => html`<li class="card">
<h2 class="code">${one.pairingCode}</h2>
<dl><dt>Endorsement key (SHA-256)</dt><dd>${fingerprint(one.ekSha256)}</dd>
<dt>Certificate of the key</dt><dd>${certificateOf(one)}</dd>
<dt>Knocked</dt><dd>${timeOf(one.firstSeenAt)}, last ${timeOf(one.lastSeenAt)}, from ${one.address}</dd>
<dt>Software, by its own word</dt><dd>${one.firmware}</dd></dl>
${visit.viewer.mayApprove && html`<p><a class="button" href="/approvals/${one.ekSha256}">Decide<span class="unseen"> about ${one.pairingCode}</span></a></p>`}
</li>`,
          )}</ul>`;
    return { title: 'Approvals', main };
  };

  const waitingOf = (visit: Visit) => sources.waiting().find(({ ekSha256 }) => ekSha256 === visit.params.key);

  const one = (visit: Visit): Answer => {
    const waiting = waitingOf(visit);
    if (!waiting) return notFound('This TPM does not wait any more: it was decided on, or has gone.');
    if (!visit.viewer.mayApprove) return { title: 'Approve a surface', main: mayNot, status: 403 };
    const main = html`
<dl><dt>Endorsement key (SHA-256)</dt><dd>${fingerprint(waiting.ekSha256)}</dd>
<dt>Certificate of the key</dt><dd>${certificateOf(waiting)}</dd>
<dt>Knocked</dt><dd>${timeOf(waiting.firstSeenAt)} from ${waiting.address}</dd></dl>
<form method="post" action="/approvals/${waiting.ekSha256}">${formToken(visit.viewer)}
<fieldset><legend>1. Compare</legend>
<p class="field"><label for="code">Code that the panel shows</label>
<input id="code" name="code" inputmode="numeric" pattern="\\s*\\d{4}[\\s\\-–]?\\d{4}\\s*" maxlength="12" autocomplete="off" required aria-describedby="code-help"></p>
<p class="help" id="code-help">Eight digits, read from the panel itself and typed here. Approval goes on only if they are those of this TPM.</p></fieldset>
<fieldset><legend>2. Name</legend>
<p class="field"><label for="name">Surface that it is to be</label>
<input id="name" name="name" list="names" pattern="[a-z0-9]([a-z0-9\\-]{0,61}[a-z0-9])?" maxlength="63" autocapitalize="none" autocomplete="off" required aria-describedby="name-help"></p>
<datalist id="names">${sources
      .names()
      .slice(0, 200)
      .map((name) => html`<option value="${name}"></option>`)}</datalist>
<p class="help" id="name-help">Lower-case letters, digits and dashes. A surface of this name is made if there is none.</p>
<p><label><input type="checkbox" name="replace" value="yes"> It replaces the TPM that this surface has now</label></p></fieldset>
<fieldset><legend>3. What you assert about how it boots</legend>
<p><label><input type="radio" name="level" value="" checked> as it is, 0 for a new surface</label></p>
${levels.map((level) => html`<p><label><input type="radio" name="level" value="${level}"> <b>${level}</b> ${sources.levelSentence(level)}</label></p>`)}
<p class="field"><label for="policy">Reference sets</label> <select id="policy" name="policy"><option value="">as it is, none for a new surface</option>${sources
      .policies()
      .map((name) => html`<option>${name}</option>`)}</select></p></fieldset>
<p class="actions"><button name="decision" value="approve">Approve</button> ${
      sources.isInCluster
        ? html`<button class="danger" name="decision" value="deny" formnovalidate>Deny</button>`
        : html`<span class="help">A TPM that you do not know gets nothing as long as nobody approves it; denials are kept by a registry in the cluster.</span>`
    }</p></form>`;
    return { title: 'Approve a surface', main };
  };

  const decide = async (visit: Visit): Promise<Answer> => {
    const { form, user, params } = visit;
    const ekSha256 = params.key ?? '';
    const refused = (words: string, to = `/approvals/${ekSha256}`): Answer => ({
      to,
      notice: { kind: 'refused', words },
    });
    if (!visit.viewer.mayApprove)
      return refused(`this needs ${rightWords.approve} in namespace ${sources.namespace}`, '/approvals');
    if (!waitingOf(visit)) return refused('this TPM does not wait any more', '/approvals');
    try {
      if (form.get('decision') === 'deny')
        return { to: '/approvals', notice: { kind: 'done', words: await sources.deny(ekSha256, user) } };
      const asserted = textIn(form.get('level'), 8);
      const level = levels.find((one) => `${one}` === asserted) ?? null;
      if (asserted !== null && level === null) return refused(`there is no level ${asserted}`);
      const words = await sources.approve(
        {
          ekSha256,
          code: textIn(form.get('code'), 12) ?? '',
          name: textIn(form.get('name'), 63) ?? '',
          level,
          policy: textIn(form.get('policy'), 63),
          isReplacing: form.get('replace') === 'yes',
        },
        user,
      );
      return { to: '/approvals', notice: { kind: 'done', words } };
    } catch (error) {
      if (!(error instanceof SurfacedError)) throw error;
      return refused(error.message);
    }
  };

  return [
    { method: 'GET', path: '/approvals', at: '/approvals', answer: list },
    { method: 'GET', path: '/approvals/:key', at: '/approvals', answer: one },
    { method: 'POST', path: '/approvals/:key', at: '/approvals', answer: decide },
  ];
}
