/** The last verdict on a surface, for people: what was checked, what failed, what follows and why. */
import type { Verdict } from '../../attest/verifier/verdict.ts';
import { type Html, html, timeOf } from '../html.ts';
import { trustOf } from '../panel.ts';
import { type Answer, notFound, type PageParts, type Route, type Visit } from '../routes.ts';
import { fingerprint } from './surfaces.ts';

type CheckName = Verdict['checks'][number]['name'];

/** What each check asks. */
const questions: Readonly<Record<CheckName, string>> = {
  'ek-public': 'Is the endorsement key one that TPMs have?',
  'ek-certificate': 'Does its certificate lead to one of your roots?',
  'ek-approved': 'Is this the TPM that was approved for this name?',
  'ak-public': 'Is the attestation key restricted, and bound to this TPM?',
  activation: 'Did the TPM open a secret that only it can open?',
  signature: 'Is the quote signed by the attestation key?',
  attest: 'Is what was signed a quote of a TPM?',
  binding: 'Was it made for this question, this connection and these logs?',
  signer: 'Is the signer the key that was shown?',
  selection: 'Does it cover the registers that are asked for?',
  'pcr-values': 'Are the values that were sent those that were signed?',
  clock: 'Do clock and counters of the TPM only go forward?',
  'firmware-log': 'Does the log of the firmware lead to the signed values?',
  'measured-log': 'Does the log of measured files?',
  'systemd-log': 'Does the log of systemd?',
  'ima-list': 'Does the list of the kernel?',
  reference: 'Is everything that was measured in a reference set?',
  level: 'Is the level that follows enough for your policy?',
};

export function evidencePages({ sources }: PageParts): readonly Route[] {
  const one = async ({ params }: Visit): Promise<Answer> => {
    const surface = sources.surface(params.name ?? '');
    if (surface === null) return notFound('There is no such surface.');
    const { name, trust, policy, assertedLevel } = surface;
    const title = `Evidence of ${name}`;
    const back = html`<p><a href="/surfaces/${name}">Back to ${name}</a></p>`;
    if (trust === null)
      return {
        title,
        main: html`${back}<p class="notice refused"><b>Not attested.</b> No TPM is approved for this surface. If it acts, it does so by a one-time token, which proves nothing about the machine.</p>`,
      };
    const verdict = await sources.verdictOf(name);
    const isGood = trust.state === 'trusted';
    const main = html`${back}
<div class="verdict ${isGood ? 'good' : 'bad'}"><p><b>${trustOf(surface).words}</b></p><p>${trust.reason}</p>
${trust.level !== null && html`<p>${sources.levelSentence(trust.level)}</p>`}</div>
<h2>What follows from what</h2>
<dl>
<dt>Level that you assert</dt><dd>${assertedLevel ?? 0}: the level can never be higher</dd>
<dt>Reference sets</dt><dd>${policy ?? 'none, so nothing above level 0 is claimed'}</dd>
<dt>Matched</dt><dd>${
      trust.reference
        ? html`${trust.reference.name}, version ${trust.reference.version}, file ${fingerprint(trust.reference.sha256)}`
        : 'no reference set'
    }</dd>
<dt>Accepted</dt><dd>${timeOf(trust.attestedAt)}${trust.evidence !== null && html`, evidence <code>${trust.evidence}</code>`}</dd>
<dt>Endorsement key (SHA-256)</dt><dd>${fingerprint(trust.ekSha256)}</dd>
</dl>
${verdict === null ? html`<p class="empty">There is no verdict yet: it has not shown evidence since it was approved.</p>` : verdictOf(verdict)}`;
    return { title, main };
  };
  return [{ method: 'GET', path: '/surfaces/:name/evidence', at: '/surfaces', answer: one }];
}

const outcomes = { passed: 'passed', failed: 'FAILED', skipped: 'not checked' } as const;

function verdictOf({ checks, measured, clock, epoch, isTrusted }: Verdict): Html {
  const failed = checks.filter(({ outcome }) => outcome === 'failed');
  return html`<h2>The last verdict</h2>
<p>${isTrusted ? 'The evidence was accepted.' : html`<b>The evidence was refused.</b>`} ${
    failed.length > 0 && html`Failed: ${failed.map(({ name }) => name).join(', ')}.`
  }</p>
<table class="stacking"><thead><tr><th scope="col">Check</th><th scope="col">Question</th><th scope="col">Outcome</th><th scope="col">Because</th></tr></thead><tbody>${checks.map(
    ({ name, outcome, reason }) => html`<tr class="${outcome}">
<th scope="row">${name}</th><td data-label="Question">${questions[name]}</td><td data-label="Outcome" class="${outcome}">${outcomes[outcome]}</td><td data-label="Because">${reason}</td></tr>`,
  )}</tbody></table>
<h2>What was measured</h2>
<dl><dt>Firmware</dt><dd>${measured.firmwareEvents} events</dd><dt>Files of surfaced</dt><dd>${measured.files}</dd>
<dt>systemd</dt><dd>${measured.systemdRecords} records</dd><dt>Kernel (IMA)</dt><dd>${measured.imaEntries} entries, ${measured.imaViolations} violations</dd>
${
  clock &&
  html`<dt>Clock of the TPM</dt><dd>${clock.clock} ms of power, ${clock.resetCount} resets, ${clock.restartCount} restarts${!clock.isSafe && ', may have gone back'}</dd>
<dt>Firmware of the TPM</dt><dd>${clock.firmwareVersion}</dd>`
}
<dt>Since the evidence before</dt><dd>${epoch === 'same' ? 'no restart' : epoch === 'new' ? 'the machine was started anew' : 'there was none'}</dd></dl>`;
}
