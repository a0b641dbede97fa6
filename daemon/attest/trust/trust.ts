/**
 * What the gateway holds of each surface with a TPM: whether it may act, and the two steps by which it proves itself.
 * README.md tells how the files of this folder fit together.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { SurfacedError } from '../../errors.ts';
import { begin, type Sessions } from './begin.ts';
import { readBook } from './book.ts';
import { type Disk, disk } from './disk.ts';
import { openDossiers } from './dossiers.ts';
import { createFinish } from './finish.ts';
import { createJudgeAnew } from './judge-anew.ts';
import { createLedger } from './ledger.ts';
import type { TrustOptions, TrustParts } from './parts.ts';
import { createQuarantine } from './quarantine.ts';
import { restore } from './restore.ts';
import { keepTrustFile, readWaiting } from './trust-file.ts';
import { createTurns } from './turns.ts';
import type { Attesting } from './types.ts';
import { quarantinedOf } from './waiting.ts';

/** After the life of a certificate a surface has this long to prove itself again before it is stale, milliseconds. */
const graceMs = 30_000;
/** How often is looked for those that have become too old, milliseconds. */
const sweepMs = 1000;
/** A start waits this long for evidence to be judged anew, milliseconds; whoever has not had a turn is pending. */
const startMs = 5000;

/**
 * Opens what is kept in the state folder, judges it anew, and follows registry and policies from then on. The caller
 * closes those after this.
 * @throws SurfacedError E_STATE_DIR
 */
export const openTrust = (options: TrustOptions): Promise<Attesting> => openTrustOn(options, disk);

/** The same on another disk. */
export async function openTrustOn(options: TrustOptions, disk: Disk): Promise<Attesting> {
  const { config, registry, policies, audit, clock, random, caPin, log } = options;
  const { stateDir } = config;
  const lifeMs = config.enrol.certificateTtlSeconds * 1000;
  const ledger = createLedger({ limitMs: lifeMs + graceMs, audit, clock, log });
  const turns = createTurns();
  const dossiers = openDossiers({ stateDir, disk, log });
  const waitingListeners: (() => void)[] = [];
  const quarantine = createQuarantine({
    kept: await readWaiting(stateDir, log),
    clock,
    random,
    onChange: (isNews) => {
      file.touch(isNews ? 'soon' : 'later');
      for (const listener of isNews ? waitingListeners : []) listener();
    },
  });
  const view = ledger.view;
  const file = keepTrustFile({
    stateDir,
    disk,
    content: () => ({
      writtenAt: clock.now(),
      caPin,
      quarantine: quarantine.list(),
      surfaces: ledger.list().map(view),
    }),
    log,
  });
  let book = readBook(registry.list());
  let policyCount = 0;
  let isClosed = false;
  const parts: TrustParts = {
    ...options,
    ledger,
    dossiers,
    quarantine,
    turns,
    book: () => book,
    policyNumber: () => policyCount,
  };
  const judging = createJudgeAnew(parts);
  const sessions: Sessions = new WeakMap();
  const sendAll = new Set<string>();

  ledger.onChange(() => file.touch('soon'));
  const withdraw = (keys: readonly string[]) => {
    for (const ekSha256 of keys)
      turns
        .take(ekSha256, () => dossiers.withdraw(ekSha256))
        .catch((error: unknown) =>
          log.error({ ekSha256, err: error }, 'what was kept of a surface cannot be put aside'),
        );
  };
  const follow = (stateOf: (ekSha256: string) => string | null) => {
    book = readBook(registry.list());
    const { toJudge, withdrawn } = ledger.follow(book, stateOf);
    for (const ekSha256 of book.byKey.keys()) quarantine.drop(ekSha256);
    withdraw(withdrawn);
    judging.ask(toJudge);
  };
  follow(() => null);
  registry.onChange(() => {
    if (!isClosed) follow((ekSha256) => (quarantine.has(ekSha256) ? 'quarantined' : 'unknown'));
  });
  policies.onChange(() => {
    policyCount++;
    if (!isClosed) judging.ask(ledger.list().map(({ binding }) => binding.surface));
  });
  judging.ask(await restore(parts, { lifeMs, graceMs }));
  await dossiers.sweep((ekSha256) => book.byKey.has(ekSha256), clock.now());
  await Promise.race([judging.idle(), delay(startMs, undefined, { ref: false })]);

  const sweeping = setInterval(() => {
    ledger.sweep();
    quarantine.sweep();
  }, sweepMs);
  sweeping.unref();
  const finish = createFinish(parts, { sessions, sendAll });
  const whileOpen = () => {
    if (isClosed) throw new SurfacedError('E_ENROL_FAILED', 'the gateway is being stopped');
  };
  return {
    isTrusted: (surface) => !isClosed && ledger.isTrusted(surface),
    of: (surface) => {
      const entry = ledger.get(surface);
      return entry && view(entry);
    },
    verdictOf: async (surface) => ledger.get(surface)?.standing?.verdict ?? null,
    list: () => ledger.list().map(view),
    quarantine: () => quarantine.list().map((waiting) => quarantinedOf(waiting, caPin)),
    onQuarantine: (listener) => {
      waitingListeners.push(listener);
    },
    onChange: ledger.onChange,
    begin: async (request) => {
      whileOpen();
      return await begin(parts, { sessions, sendAll }, request);
    },
    finish: async (begun, answer) => {
      whileOpen();
      const attested = await finish(begun, answer);
      file.touch('later');
      return attested;
    },
    close: async () => {
      isClosed = true;
      clearInterval(sweeping);
      await judging.close();
      await turns.idle();
      await ledger.recorded();
      await file.close();
    },
  };
}
