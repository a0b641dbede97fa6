/** Logs that tell what was measured as something else: whoever sends them chooses which log says what. */
import t from 'tap';
import { createReferences } from '../../../daemon/attest/policy/match.ts';
import type { Level } from '../../../daemon/attest/types.ts';
import type { WholeLogs } from '../../../daemon/attest/verifier/types.ts';
import { firstFailure } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { agileLog, hexOf, type SampleEvent, sha, text } from '../logs/samples.ts';
import { bytesOf, caseOf, fileRecord, Pcrs, rulesOf, systemdRecord } from '../verifier/world.ts';
import { setOf } from './sets.ts';

const bank = 'sha256';
const none: WholeLogs = { firmware: null, ima: null, measured: null, systemd: null };
const main = '/opt/surfaced/main.js';
const file = (content: string, pcr: number) => fileRecord(main, content, { pcr, recnum: 0, bank });
const textOf = (content: string) => `file:sha256:${hexOf(bytesOf(content))}:${main}`;
/** Digests that are extended, by PCR and in their order. */
function extended(...measured: (readonly [pcr: number, hashed: string])[]): Pcrs {
  const pcrs = new Pcrs(bank);
  for (const [pcr, hashed] of measured) pcrs.extend(pcr, sha(bank, hashed));
  return pcrs;
}
function judged(spec: object, logs: Partial<WholeLogs>, pcrs: Pcrs, assertedLevel: Level) {
  const references = createReferences('pi', [setOf({ spec })]);
  const rules = rulesOf({ assertedLevel, requiredLevel: 0, references });
  return verify(caseOf({ logs: { ...none, ...logs }, pcrs: pcrs.values }), rules);
}

t.test('a bad file is measured into another PCR, and the good one is extended afterwards', async (t) => {
  const set = { files: [{ path: main, sha256: [hexOf(bytesOf('good'))] }] };
  const good = file('good', 14).bytes;
  for (const pcr of [8, 9, 11, 12, 13, 15]) {
    const pcrs = extended([pcr, textOf('bad')], [14, textOf('good')]);
    const digest = sha(bank, textOf('bad'));
    const event: SampleEvent = { pcr, type: 0x0d, data: text('grub'), hashed: text(textOf('bad')) };
    const later = extended([pcr, textOf('bad')], [pcr, 'phase'], [14, textOf('good')]);
    const firmware = agileLog([bank], [event]);
    for (const [name, logs, held] of [
      ['left out', {}, pcrs],
      ['as what systemd measured', { systemd: systemdRecord(pcr, bank, digest, 'machine-id') }, pcrs],
      ['in its own words', { systemd: systemdRecord(pcr, bank, digest, textOf('bad')) }, pcrs],
      ['as an event', { firmware }, pcrs],
      [
        'as an event before what systemd measured',
        { firmware, systemd: systemdRecord(pcr, bank, sha(bank, 'phase'), 'phase') },
        later,
      ],
    ] as const) {
      const verdict = judged(set, { measured: good, ...logs }, held, 1);
      t.equal(firstFailure(verdict)?.name, 'reference', `PCR ${pcr}, ${name}`);
      t.equal(verdict.level, null);
    }
  }
  t.equal(judged(set, { measured: good }, extended([14, textOf('good')]), 1).level, 1);
});

t.test('events that are left out do not raise the level', async (t) => {
  const loader: SampleEvent = { pcr: 0, type: 8, data: text('U-Boot') };
  const kernel: SampleEvent = { pcr: 8, type: 0x0c, data: text('linux'), hashed: text('bad kernel') };
  const set = { firmware: [{ pcr: 0, digests: [hexOf(sha(bank, 'U-Boot'))] }] };
  const pcrs = extended([0, 'U-Boot'], [8, 'bad kernel']);
  t.equal(judged(set, { firmware: agileLog([bank], [loader, kernel]) }, pcrs, 3).level, 0);
  t.equal(judged(set, { firmware: agileLog([bank], [loader]) }, pcrs, 3).level, 0);
  const alone = extended([0, 'U-Boot']);
  t.equal(judged(set, { firmware: agileLog([bank], [loader]) }, alone, 3).level, 3);
});

t.test('files that are told as events are no measured boot', async (t) => {
  const pcrs = extended([14, textOf('good')]);
  const set = { pcrs: [{ pcr: 14, values: [hexOf(pcrs.of(14))] }] };
  const events = agileLog([bank], [{ pcr: 14, type: 0x0d, data: text(textOf('good')) }]);
  t.equal(judged(set, { firmware: events }, pcrs, 3).level, 1);
});
