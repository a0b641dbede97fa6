/** Evidence that the bench of the verifier judges: made by software TPMs, accepted, and judged by its processes. */
import t, { type Test } from 'tap';
import { bootSample, longImaSample, readSample, type Sample } from '../../bench/evidence-samples.ts';
import type { MemoryUse } from '../../bench/memory.ts';
import { Part } from '../../bench/processes.ts';
import type { BenchContext } from '../../bench/types.ts';
import { verify } from '../../daemon/attest/verifier/verify.ts';
import { withoutSwtpm as skip } from '../../hil/software-tpm.ts';

const contextOf = (t: Test): BenchContext => ({
  isQuick: true,
  folder: t.testdir(),
  defer: (end) => t.teardown(async () => void (await end())),
  say: (text) => t.comment(text),
});

async function startPart(t: Test, name: string, input: Sample | string): Promise<Part> {
  const part = new Part(name, ['--expose-gc']);
  t.teardown(() => part.end());
  await part.call('start', input);
  return part;
}

t.test('firmware and files at level 3, each in the policy', { skip }, async (t) => {
  const { subject, rules } = await readSample(await bootSample(contextOf(t), 16, 3));
  const verdict = verify(subject, rules);
  t.match(verdict, { isTrusted: true, level: 3, measured: { firmwareEvents: 16, files: 3 } });
});

t.test('a list in two messages, judged and replayed in processes of their own', { skip }, async (t) => {
  const sample = await longImaSample(contextOf(t), 7);
  const { subject, rules } = await readSample(sample);
  t.match(verify(subject, rules), { isTrusted: true, level: 1, epoch: 'same', measured: { imaEntries: 7 } });
  t.ok(subject.isIncremental);

  const naive = await startPart(t, 'naive-replay', sample.logFiles.ima ?? '');
  t.equal(await naive.call('value'), Buffer.from(subject.evidence.pcrs.get(10) ?? []).toString('hex'));
  t.ok((await naive.call<number>('replay', 0)) > 0);
  const judging = await startPart(t, 'judging', sample);
  t.ok((await judging.call<number>('judge', 0)) > 0);
  t.ok((await judging.call<number>('bareSignature', 0)) > 0);
  const use = await judging.call<MemoryUse>('memory');
  t.ok(use.residentMib >= 0 && Number.isFinite(use.heapMib), JSON.stringify(use));
});
