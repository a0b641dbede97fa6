/** The audit trail with search, and its verification with progress. */
import type { Remark } from '../../attest/audit/report.ts';
import { type Html, html, timeOf } from '../html.ts';
import { formToken } from '../layout.ts';
import type { Answer, PageParts, Route, Visit } from '../routes.ts';
import type { Verification } from '../sources.ts';
import { queryOf, searchFields, wayOn } from './audit-query.ts';

export function auditPages({ sources }: PageParts): readonly Route[] {
  const list = async ({ query, viewer }: Visit): Promise<Answer> => {
    const wanted = queryOf(query, null);
    const found = await sources.searchAudit(wanted);
    const rows = found.lines.map(
      ({ seq, at, kind, surface, words }) => html`<tr>
<th scope="row"><code>${seq}</code></th><td data-label="Time">${timeOf(at)}</td><td data-label="Kind">${kind}</td>
<td data-label="Surface">${surface === null ? '–' : html`<a href="/surfaces/${surface}">${surface}</a>`}</td><td data-label="What">${words}</td></tr>`,
    );
    const main = html`
<section aria-labelledby="verify"><h2 id="verify">Is it whole?</h2>
<div id="verification"${sources.verification()?.outcome === null && html` data-again="/audit/verification"`}>${verificationOf(sources.verification())}</div>
<form method="post" action="/audit/verification">${formToken(viewer)}<button>Verify the log</button></form></section>
<section aria-labelledby="records"><h2 id="records">Records</h2>
<form class="search" role="search" action="/audit">${searchFields(wanted)}
<p class="field"><label for="kind">Kind</label> <select id="kind" name="kind"><option value="">all</option>${sources.auditKinds.map(
      (kind) => html`<option${kind === wanted.kind && html` selected`}>${kind}</option>`,
    )}</select></p> <button>Search</button></form>
${
  rows.length === 0
    ? html`<p class="empty">No record fits.</p>`
    : html`<table class="stacking"><thead><tr><th scope="col">Record</th><th scope="col">Time (UTC)</th><th scope="col">Kind</th><th scope="col">Surface</th><th scope="col">What</th></tr></thead><tbody>${rows}</tbody></table>`
}
${wayOn(found, '/audit', query)}</section>`;
    return { title: 'Audit', main };
  };

  const verify = ({ user }: Visit): Answer => {
    sources.verify(user);
    return { to: '/audit', notice: { kind: 'done', words: 'the log is being verified' } };
  };
  const state = (): Answer => ({ fragment: verificationOf(sources.verification()).text });

  return [
    { method: 'GET', path: '/audit', at: '/audit', answer: list },
    { method: 'GET', path: '/audit/verification', at: '/audit', answer: state },
    { method: 'POST', path: '/audit/verification', at: '/audit', answer: verify },
  ];
}

/** Where the verification is, or what it found; a script asks for it again while it runs. */
function verificationOf(run: Verification | null): Html {
  if (run === null)
    return html`<p>The same check as <code>surfaced audit verify</code>: chain, signed head, every quote. It was not run since the gateway started.</p>`;
  const { bytesDone, bytesInAll, outcome, startedAt, startedBy } = run;
  const begun = html`begun ${timeOf(startedAt)} by ${startedBy}`;
  if (outcome === null)
    return html`<p><label for="progress">Verifying, ${begun}</label></p>
<p><progress id="progress" max="${Math.max(1, bytesInAll)}" value="${bytesDone}">${bytesDone}</progress> ${(bytesDone / (1 << 20)).toFixed(1)} of ${(bytesInAll / (1 << 20)).toFixed(1)} MiB</p>`;
  if ('problem' in outcome)
    return html`<p class="notice refused" data-over>It could not be verified, ${begun}: ${outcome.problem}</p>`;
  const { report } = outcome;
  const remark = ({ file, line, seq, what }: Remark): Html => {
    const place = [file, line && `line ${line}`, seq && `record ${seq}`].filter(Boolean).join(', ');
    return html`<li>${place !== '' && html`<b>${place}:</b> `}${what}</li>`;
  };
  return html`<div class="verdict ${report.isSound ? 'good' : 'bad'}" data-over>
<p><b>${report.isSound ? 'The log is sound.' : 'The log is NOT sound.'}</b> ${report.records} records in ${report.files} files, ${begun}.</p>
${report.faultCount > 0 && html`<h3>Faults (${report.faultCount})</h3><ul>${report.faults.map(remark)}</ul>`}
${report.noteCount > 0 && html`<h3>Notes (${report.noteCount})</h3><ul>${report.notes.map(remark)}</ul>`}
<p>${report.quotes.held} quotes hold, ${report.quotes.refused} were refused and do not, ${report.quotes.none} verdicts had none; ${report.unsigned} records are not signed yet.</p>
<p class="help">This gateway verified its own log. What proves more is a copy elsewhere, checked by somebody else: docs/audit.md.</p></div>`;
}
