/** The failure loops: `npm run failures -- --broker mosquitto --gateways 2 --rounds 9 --seed 1`; see README.md. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { skipOf, type TriedBroker, triedBrokers } from '../../test/bridge/external/brokers.ts';
import { holdsBack, strike, wordsOf } from './blow.ts';
import { type Book, behindIn, findingsIn, type Shut, wrongIn } from './ledger.ts';
import { planOf, type Round } from './plan.ts';
import { type FailureSite, openSite } from './site.ts';

const { values } = parseArgs({
  options: {
    broker: { type: 'string', default: 'mosquitto' },
    gateways: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '9' },
    seed: { type: 'string', default: '1' },
    surfaces: { type: 'string', default: '6' },
    lease: { type: 'string', default: '15' },
    longest: { type: 'string', default: '30' },
    until: { type: 'string', default: '' },
  },
});
const broker = triedBrokers.find((kind) => kind === values.broker);
if (broker === undefined) throw new Error(`--broker: one of ${triedBrokers.join(', ')}`);
const whole = (
  name: 'gateways' | 'rounds' | 'seed' | 'surfaces' | 'lease' | 'longest',
  least: number,
): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < least)
    throw new Error(`--${name}: a whole number from ${least} on`);
  return number;
};
const options = {
  broker: broker satisfies TriedBroker,
  gateways: whole('gateways', 2),
  rounds: whole('rounds', 1),
  seed: whole('seed', 0),
  surfaces: whole('surfaces', 1),
  leaseSeconds: whole('lease', 5),
  longestMs: whole('longest', 5) * 1000,
};
/** Unix milliseconds after which no round is begun. */
const stopAt = values.until === '' ? Number.POSITIVE_INFINITY : Date.parse(values.until);
const reason = skipOf(broker);
if (reason !== false) throw new Error(reason);

/** Least time between two turns of a knob; up to twice as much. */
const turnMs = 400;
/** Displays are compared so long after everything is well. */
const compareMs = 5000;
/** Knobs rest before the comparison, so that what was asked for is done. */
const restMs = 2000;
/** From the end of a Lease until another gateway acts at the most, of docs/brokers.md: 19 of 15 seconds. */
const handOverMs = options.leaseSeconds * 1000 + 4000;
/** A command whose end passed unheard ends a minute after the connection was lost (link/timing.ts), and some. */
const longestEndMs = 100_000;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-failures-'));

let isTurning = false;
/** Turns a knob at random moments for as long as the run lasts. */
async function turnForEver(knob: FailureSite['knobs'][number], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(turnMs * (1 + Math.random()));
    if (isTurning && !signal.aborted) knob.turn();
  }
}

interface Totals {
  readonly shut: Shut[];
  rounds: number;
  wrong: string[];
  behind: string[];
  dimmedAfter5s: number;
}

/** Looks until every display shows what is so, or until the time is over. @returns those that do not */
async function allRightBy(site: FailureSite, deadline: number): Promise<readonly string[]> {
  for (;;) {
    const numbers = await site.cluster.numbers();
    const behind = behindIn(site.knobs.map((knob) => knob.display(numbers.get(knob.name) ?? -1)));
    if (behind.length === 0 || Date.now() > deadline) return behind;
    await delay(100);
  }
}

async function play(site: FailureSite, round: Round, number: number, totals: Totals): Promise<void> {
  const asked = site.knobs.reduce((sum, knob) => sum + knob.asked.length, 0);
  const written = site.cluster.written.length;
  isTurning = true;
  await delay(1500 + Math.random() * 1500);
  for (const knob of site.knobs)
    knob.story.push(`${new Date().toISOString()} === ${number}: ${wordsOf(round)}`);
  const from = Date.now();
  const putRight = await strike(site, round);
  await delay(round.lastsMs);
  if (holdsBack(round)) totals.shut.push({ from, to: Date.now() });
  await putRight();
  const wellAt = Date.now();
  for (const knob of site.knobs) knob.story.push(`${new Date().toISOString()} === ${number}: well again`);
  await delay(compareMs - restMs);
  isTurning = false;
  await delay(wellAt + compareMs - Date.now());
  const numbers = await site.cluster.numbers();
  const displays = site.knobs.map((knob) => knob.display(numbers.get(knob.name) ?? -1));
  const wrong = wrongIn(displays);
  const dimmed = displays.filter(({ isLive }) => !isLive).length;
  const behind = await allRightBy(site, wellAt + compareMs + handOverMs);
  const rightMs = Date.now() - wellAt;
  const name = (surface: string): string => `${surface} in round ${number}`;
  totals.rounds += 1;
  totals.dimmedAfter5s += dimmed;
  totals.wrong.push(...wrong.map(name));
  totals.behind.push(...behind.map(name));
  const commands = site.knobs.reduce((sum, knob) => sum + knob.asked.length, 0) - asked;
  say(
    [
      `${number} ${new Date().toISOString().slice(11, 19)} ${wordsOf(round)}: ${commands} commands, ${site.cluster.written.length - written} written;`,
      `after 5 s ${wrong.length} wrong, ${dimmed} dimmed; ${behind.length === 0 ? `all right after ${(rightMs / 1000).toFixed(1)} s` : `still not right: ${behind.join(', ')}`}`,
    ].join(' '),
  );
}

/** A gateway that ended by itself is started again, as its supervisor would; how often is told. */
async function supervise(site: FailureSite): Promise<number> {
  let count = 0;
  for (const seat of site.gateways) {
    if (!seat.process.hasExited) continue;
    count += 1;
    say(`${seat.name} had ended by itself; it is started again`);
    await seat.start();
  }
  return count;
}

const site = await openSite({ ...options, folder });
let exitCode = 1;
// Whatever was started would outlive a run that is stopped.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void site.close().finally(() => process.exit(130)));
try {
  say(
    `${options.broker}, ${options.gateways} gateways, ${options.surfaces} surfaces, Leases of ${options.leaseSeconds} s, seed ${options.seed}`,
  );
  const started = await allRightBy(site, Date.now() + 60_000);
  if (started.length > 0) throw new Error(`never came up: ${started.join(', ')}`);
  const ending = new AbortController();
  const turning = site.knobs.map((knob) => turnForEver(knob, ending.signal));
  const totals: Totals = { shut: [], rounds: 0, wrong: [], behind: [], dimmedAfter5s: 0 };
  let restarts = 0;
  for (const [index, round] of planOf(options).entries()) {
    if (Date.now() > stopAt) break;
    await play(site, round, index + 1, totals);
    restarts += await supervise(site);
  }
  isTurning = false;
  ending.abort();
  await Promise.all(turning);
  const endsBy = Date.now();
  while (site.knobs.some(({ open }) => open > 0) && Date.now() < endsBy + longestEndMs) await delay(100);

  const book: Book = {
    shut: totals.shut,
    asked: site.knobs.flatMap(({ asked }) => asked),
    ended: site.knobs.flatMap(({ ended }) => ended),
    written: site.cluster.written,
  };
  const findings = { ...findingsIn(book, endsBy), wrong: totals.wrong, behind: totals.behind };
  const codes = new Map<string, number>();
  for (const { phase, code } of book.ended) {
    const key = `${phase} ${code}`.trim();
    codes.set(key, (codes.get(key) ?? 0) + 1);
  }
  const counts = Object.fromEntries(Object.entries(findings).map(([name, ids]) => [name, ids.length]));
  const summary = {
    ...options,
    rounds: totals.rounds,
    commands: book.asked.length,
    written: book.written.length,
    ...counts,
    dimmedAfter5s: totals.dimmedAfter5s,
    restarts,
    ends: Object.fromEntries([...codes].sort(([, one], [, other]) => other - one)),
  };
  console.table({ ...summary, ends: undefined });
  say(JSON.stringify(summary));
  const { heldBack: _, ...faults } = findings;
  exitCode = Object.values(faults).every((ids) => ids.length === 0) ? 0 : 1;
  if (exitCode !== 0) say(JSON.stringify(findings));
} finally {
  if (exitCode !== 0) await keepLogs();
  await site.close();
}
if (exitCode === 0) await rm(folder, { recursive: true, force: true });
else say(`logs of gateways, stories of surfaces and the log of writes are kept in ${folder}`);
process.exit(exitCode);

async function keepLogs(): Promise<void> {
  for (const { name, logs, process: last } of site.gateways)
    await writeFile(path.join(folder, `${name}.log`), [...logs, last.log()].join('\n--- started again\n'));
  for (const { name, story, asked, ended } of site.knobs)
    await writeFile(
      path.join(folder, `${name}.log`),
      [...story, JSON.stringify({ asked, ended })].join('\n'),
    );
  await writeFile(
    path.join(folder, 'writes.log'),
    site.cluster.written.map(({ id, at }) => `${new Date(at).toISOString()} ${id}`).join('\n'),
  );
}
