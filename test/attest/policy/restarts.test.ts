/** A machine that is restarted while its TPM is not: each of its starts must be good, and what was bad stays visible. */
import fc from 'fast-check';
import t from 'tap';
import {
  measureLogLimits,
  type NewMeasurement,
  restartMeasurement,
} from '../../../daemon/attest/logs/measure-log.ts';
import { carriedLog } from '../../../daemon/attest/measure/carry.ts';
import { readLog } from '../../../daemon/attest/measure/standing.ts';
import { learn } from '../../../daemon/attest/policy/learn.ts';
import { createReferences } from '../../../daemon/attest/policy/match.ts';
import type { WholeLogs } from '../../../daemon/attest/verifier/types.ts';
import { firstFailure, type Verdict } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { agileLog, hexOf, text } from '../logs/samples.ts';
import { bytesOf, caseOf, faults, fileRecord, now, Pcrs, rulesOf, systemdRecord } from '../verifier/world.ts';
import { setOf } from './sets.ts';

const bank = 'sha256' as const;
const none: WholeLogs = { firmware: null, ima: null, measured: null, systemd: null };

/** In the order in which a start measures them; the first two by the initramfs. */
const paths = ['/root-hash', '/cmdline', '/dist/', '/unit'] as const;
const inInitramfs = 2;
const contentsOf = (version: string): readonly (readonly [path: string, content: string])[] =>
  paths.map((path) => [path, `${path} of ${version}`]);
const setFor = (version: string, number: number) =>
  setOf({
    version: number,
    spec: {
      files: contentsOf(version).map(([path, content]) => ({ path, sha256: [hexOf(bytesOf(content))] })),
    },
  });
const references = createReferences('pi', [setFor('0.1.0', 1), setFor('0.1.1', 2)]);

type Step = 'restart' | readonly [path: string, content: string];
const made = (steps: readonly Step[], pcr = 14, from = 0): NewMeasurement[] =>
  steps.map((step, index) =>
    step === 'restart'
      ? restartMeasurement({ pcr, banks: [bank], recnum: from + index })
      : fileRecord(...step, { pcr, recnum: from + index, bank }),
  );
const bytesIn = (records: readonly NewMeasurement[]) => Buffer.concat(records.map(({ bytes }) => bytes));
function pcrsOf(records: readonly NewMeasurement[], pcr = 14): Pcrs {
  const pcrs = new Pcrs(bank);
  for (const { digests } of records) pcrs.extend(pcr, digests.get(bank)!);
  return pcrs;
}
function judged(logs: Partial<WholeLogs>, pcrs: Pcrs, policy = references): Verdict {
  const rules = rulesOf({ assertedLevel: 1, requiredLevel: 1, references: policy });
  return verify(caseOf({ logs: { ...none, ...logs }, pcrs: pcrs.values }), rules);
}
const ofSteps = (steps: readonly Step[], policy = references) =>
  judged({ measured: bytesIn(made(steps)) }, pcrsOf(made(steps)), policy);
const start = (version: string) => contentsOf(version);
const reason = (verdict: Verdict) => firstFailure(verdict)?.reason;

t.test('each start is compared, the last one is what runs', async (t) => {
  const updated = ofSteps([...start('0.1.0'), 'restart', ...start('0.1.1')]);
  t.match(updated, { isTrusted: true, level: 1, reference: { version: 2 }, measured: { files: 8 } });
  const told = updated.checks.find(({ name }) => name === 'measured-log')?.reason;
  t.match(told, /replays to PCR 14, over 1 restarts of the machine without a reset of the TPM$/);
  const back = [...start('0.1.1'), 'restart', ...start('0.1.0'), 'restart', ...start('0.1.0')] as const;
  t.match(ofSteps(back), { isTrusted: true, reference: { version: 1 } });
  t.match(
    reason(ofSteps([...start('0.1.0'), 'restart', ...start('bad'), 'restart', ...start('0.1.0')])),
    /version 2: start 1 of 3 .* version 1: start 2 of 3 since the TPM was reset: file \/root-hash has|version 2: start 2 of 3/,
  );
  t.match(
    reason(ofSteps([...start('bad'), 'restart', ...start('0.1.1')])),
    /version 2: start 1 of 2 since the TPM was reset: file \/root-hash has the SHA-256/,
  );
  t.match(
    reason(ofSteps([...start('0.1.0'), ...start('0.1.1')])),
    /version 2: file \/root-hash has/,
    'no restart',
  );
});

t.test('a start that was cut off, or has nothing, is none that is good', async (t) => {
  const whole = start('0.1.0');
  for (let length = 0; length < whole.length; length++) {
    const missing = new RegExp(
      `start 2 of 3 since the TPM was reset: file ${paths[length]} was not measured`,
    );
    t.match(reason(ofSteps([...whole, 'restart', ...whole.slice(0, length), 'restart', ...whole])), missing);
    t.match(reason(ofSteps([...whole.slice(0, length), 'restart', ...whole])), /start 1 of 2/);
    t.match(reason(ofSteps([...whole, 'restart', ...whole.slice(0, length)])), /start 2 of 2/);
  }
});

t.test('files of two starts are not put together, those of two versions neither', async (t) => {
  const [old, next] = [start('0.1.0'), start('0.1.1')];
  t.equal(ofSteps([...old.slice(0, 2), 'restart', ...old.slice(2)]).isTrusted, false);
  t.equal(ofSteps([...old, 'restart', ...next.slice(0, 2), ...old.slice(2)]).isTrusted, false);
});

t.test('what is covered is what all starts cover', async (t) => {
  const optional = (version: string, number: number) =>
    setOf({
      version: number,
      spec: {
        files: contentsOf(version).map(([path, content]) => ({
          path,
          sha256: [hexOf(bytesOf(content))],
          isRequired: false,
        })),
      },
    });
  const lenient = createReferences('pi', [optional('0.1.0', 1)]);
  t.equal(ofSteps(start('0.1.0'), lenient).level, 1);
  t.match(
    reason(ofSteps([...start('0.1.0'), 'restart'], lenient)),
    /level 0 holds, 1 is required/,
    'a start that measures nothing proves no files',
  );
  const [first] = start('0.1.0');
  t.match(ofSteps([first!, 'restart', first!], lenient), { level: 1 });
});

t.test('a restart is nothing else, and nothing else is one', async (t) => {
  const steps: Step[] = [...start('0.1.0'), 'restart', ...start('0.1.1')];
  const records = made(steps);
  const log = bytesIn(records).toString();
  const edited = (from: string, to: string) =>
    judged({ measured: Buffer.from(log.replace(from, to)) }, pcrsOf(records));
  const asFile = `"content_type":"surfaced","content":{"path":"/x","sha256":"${'0'.repeat(64)}"}`;
  t.match(
    reason(edited('"content_type":"surfaced-restart","content":{}', asFile)),
    /its sha256 digest is another one/,
  );
  const asRestart = log.replace(
    /"content_type":"surfaced","content":\{[^}]*\}/,
    '"content_type":"surfaced-restart","content":{}',
  );
  t.match(
    reason(judged({ measured: Buffer.from(asRestart) }, pcrsOf(records))),
    /its sha256 digest is another one/,
  );
  t.match(reason(edited('"pcr":14', '"nv_index":1')), /measured-log|PCR 14|by the log/);
  const nv = `\x1e{"nv_index":1,"digests":[{"hashAlg":"sha256","digest":"${'0'.repeat(64)}"}],"content_type":"surfaced-restart","content":{}}\n`;
  t.match(
    reason(judged({ measured: Buffer.from(log + nv) }, pcrsOf(records))),
    /a restart must be extended into a PCR/,
  );
  const digest = records[4]!.digests.get(bank)!;
  const other = pcrsOf(made(start('0.1.1')));
  other.extend(11, digest);
  t.match(
    reason(
      judged(
        {
          measured: bytesIn(made(start('0.1.1'))),
          systemd: systemdRecord(11, bank, digest, 'surfaced:restart'),
        },
        other,
      ),
    ),
    /is that of a file or a restart/,
  );
  const systemd = judged({ systemd: bytesIn(made(['restart'])) }, pcrsOf(made(['restart'])));
  t.match(reason(systemd), /is of another log/);
});

t.test('records of two PCRs have no order, so that a restart divides neither', async (t) => {
  const records = [...made(start('0.1.0').slice(0, 2)), ...made(['restart', ...start('0.1.0')], 15, 2)];
  const pcrs = new Pcrs(bank);
  for (const [index, { digests }] of records.entries()) pcrs.extend(index < 2 ? 14 : 15, digests.get(bank)!);
  t.match(reason(judged({ measured: bytesIn(records) }, pcrs)), /restarts, and records of 2 PCRs/);
});

t.test('so many restarts and no more', async (t) => {
  const [first] = start('0.1.0');
  const set = { files: [{ path: first![0], sha256: [hexOf(bytesOf(first![1]))] }] };
  const policy = createReferences('pi', [setOf({ spec: set })]);
  const steps = (count: number): Step[] => [
    first!,
    ...Array.from({ length: count }, () => ['restart', first!] as const).flat(),
  ];
  const { mostRestarts } = measureLogLimits;
  t.equal(ofSteps(steps(mostRestarts), policy).level, 1);
  t.match(reason(ofSteps(steps(mostRestarts + 1), policy)), /more than 1000 restarts/);
});

t.test('a set is learned from the last start, and says when others were not like it', async (t) => {
  const learned = (steps: readonly Step[]) =>
    learn(caseOf({ logs: { ...none, measured: bytesIn(made(steps)) }, pcrs: pcrsOf(made(steps)).values }), {
      name: 'pi',
      version: 1,
      days: 1,
      now,
    });
  const same = learned([...start('0.1.0'), 'restart', ...start('0.1.0')]);
  t.same(same.notes, []);
  const other = learned([...start('0.1.1'), 'restart', ...start('0.1.0'), 'restart', ...start('0.1.0')]);
  t.match(other.notes, [/^start 1 of the machine since its TPM was reset measured something else/]);
  t.equal(other.text, same.text);
  t.notMatch(other.text, hexOf(bytesOf(contentsOf('0.1.1')[0]![1])));
});

/** One start: how it came, what it is, how far it came; and what root of a bad one does then. */
const boots = fc.array(
  fc.record({
    by: fc.constantFrom('cut', 'restart', 'restart', 'restart'),
    version: fc.constantFrom('0.1.0', '0.1.0', '0.1.1', '0.1.1', 'bad'),
    /** Of what a start measures, so much; more than there is: all. */
    reached: fc.oneof(
      { weight: 4, arbitrary: fc.constant(99) },
      { weight: 1, arbitrary: fc.nat(paths.length) },
    ),
    /** Restarts and good values that are extended by whoever is root. */
    lies: fc.array(fc.constantFrom('0.1.0', '0.1.1', 'none'), { maxLength: 2 }),
  }),
  { minLength: 1, maxLength: 6 },
);

type Boots = typeof boots extends fc.Arbitrary<infer Value> ? Value : never;

/** What TPM and log have at the end, and whether all starts since the TPM was reset were good and complete. */
function simulate(starts: Boots) {
  let pcr: NewMeasurement[] = [];
  let saved: Buffer = Buffer.alloc(0);
  let log: Buffer = Buffer.alloc(0);
  let isGood = true;
  const extend = (records: readonly NewMeasurement[]) => {
    pcr = [...pcr, ...records];
  };
  for (const { by, version, reached, lies } of starts) {
    log = Buffer.alloc(0);
    if (by === 'cut') {
      pcr = [];
      isGood = true;
    }
    const all = made([...(pcr.length > 0 ? (['restart'] as const) : []), ...start(version)]);
    const first = all
      .slice(0, all.length - paths.length + inInitramfs)
      .slice(0, reached + all.length - paths.length);
    extend(first);
    // One that ended before its first record leaves no trace: nothing of the root file system ran in it.
    if (first.length > 0) isGood &&= version !== 'bad' && reached >= paths.length;
    log = bytesIn(first);
    if (reached < inInitramfs) continue;
    // `surfaced measure`, as goOn() and extendAll() do it.
    const registers = new Map([[bank, new Map([[14, pcrsOf(pcr).of(14)]])]]);
    if (pcrsOf(readRecords(log)).of(14).compare(pcrsOf(pcr).of(14)) !== 0) {
      const carried = saved.length === 0 ? null : carriedLog({ saved, fresh: log, registers, pcr: 14 });
      if (carried?.kind !== 'joined') continue;
      log = carried.bytes;
    }
    const rest = made(start(version).slice(inInitramfs), 14, readLog(log, false).records.length);
    log = Buffer.concat([log, bytesIn(rest)]);
    saved = log;
    extend(rest.slice(0, reached - inInitramfs));
    if (version !== 'bad') continue;
    for (const lie of lies) {
      const records = made(
        ['restart', ...(lie === 'none' ? [] : start(lie))],
        14,
        readLog(log, false).records.length,
      );
      extend(records);
      log = Buffer.concat([log, bytesIn(records)]);
      saved = log;
    }
  }
  return { pcrs: pcrsOf(pcr), log, isGood: isGood && pcr.length > 0 };
}
const readRecords = (log: Buffer): NewMeasurement[] =>
  readLog(log, false).records.map(({ digests }) => ({ digests, bytes: Buffer.alloc(0) }));

t.test('any starts: trusted exactly when all since the TPM was reset were good and complete', async (t) => {
  let [good, bad] = [0, 0];
  const result = fc.check(
    fc.property(boots, (starts) => {
      const { pcrs, log, isGood } = simulate(starts);
      const verdict = judged({ measured: log }, pcrs);
      if (isGood) good++;
      else bad++;
      return verdict.isTrusted === isGood && faults(verdict).length === 0;
    }),
    { numRuns: 400 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
  t.ok(good > 30 && bad > 30, `${good} good, ${bad} bad`);
});

t.test('whatever log is sent of a machine with a bad start: never trusted', async (t) => {
  const change = fc.record({
    kind: fc.constantFrom('drop', 'swap', 'cut front', 'as restart', 'as systemd', 'as firmware'),
    at: fc.nat(),
    other: fc.nat(),
  });
  const result = fc.check(
    fc.property(boots, fc.array(change, { minLength: 1, maxLength: 3 }), (starts, changes) => {
      const { pcrs, log, isGood } = simulate(starts);
      if (isGood) return true;
      const records = readLog(log, false).records;
      let lines = records.map(({ start: from, end, content, digests }) => ({
        bytes: log.subarray(from.bytes, end.bytes),
        digest: digests.get(bank)!,
        said: content.kind === 'file' ? `file:sha256:${content.sha256}:${content.path}` : 'surfaced:restart',
      }));
      let systemd: Buffer | null = null;
      let firmware: Buffer | null = null;
      for (const { kind, at, other } of changes) {
        const index = lines.length === 0 ? 0 : at % lines.length;
        const line = lines[index];
        if (line === undefined) continue;
        if (kind === 'drop') lines = lines.toSpliced(index, 1);
        else if (kind === 'swap') {
          const second = other % lines.length;
          lines = lines.with(index, lines[second]!).with(second, line);
        } else if (kind === 'as restart')
          lines = lines.with(index, {
            ...line,
            bytes: Buffer.from(
              line.bytes
                .toString()
                .replace(/"content_type":.*/, '"content_type":"surfaced-restart","content":{}}'),
            ),
          });
        else {
          const front = lines.slice(0, index + 1);
          lines = lines.slice(index + 1);
          if (kind === 'as systemd')
            systemd = Buffer.concat(front.map(({ digest }) => systemdRecord(14, bank, digest, 'phase')));
          if (kind === 'as firmware') {
            const events = front.map(({ said }) => ({
              pcr: 14,
              type: 0x0d,
              data: text('x'),
              hashed: text(said),
            }));
            firmware = agileLog([bank], events);
          }
        }
      }
      const measured = Buffer.concat(
        lines.map(({ bytes }, recnum) =>
          Buffer.from(bytes.toString().replace(/"recnum":\d+/, `"recnum":${recnum}`)),
        ),
      );
      const verdict = judged({ measured, systemd, firmware }, pcrs);
      return !verdict.isTrusted && faults(verdict).length === 0;
    }),
    { numRuns: 400 },
  );
  t.equal(fc.defaultReportMessage(result), undefined);
});
