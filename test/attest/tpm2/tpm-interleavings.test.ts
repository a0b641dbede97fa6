/** Scopes side by side, on a TPM that fails now and then, in any order that promises can take. */
import fc from 'fast-check';
import t from 'tap';
import { getRandom } from '../../../daemon/attest/tpm2/commands/general.ts';
import { loadExternal } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { startAuthSession } from '../../../daemon/attest/tpm2/commands/policies.ts';
import { permanent } from '../../../daemon/attest/tpm2/keys.ts';
import { akEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import { type Scope, Tpm } from '../../../daemon/attest/tpm2/tpm.ts';
import { TpmTransportError } from '../../../daemon/attest/tpm2/transport.ts';
import { failure } from './reverse.ts';
import { ScriptedTpm } from './scripted-tpm.ts';
import { hex } from './vectors.ts';

const none = Buffer.alloc(0);
const nobody = permanent(0x40000007);

/** What is loaded, as its owner knows it. */
interface Held {
  readonly handle: number;
  /** Which of all things that were ever loaded. */
  readonly serial: number;
}

async function load(scope: Scope): Promise<Held> {
  const { handle, name } = await scope.execute(loadExternal, {
    handles: {},
    parameters: { inPrivate: none, inPublic: akEccP256, hierarchy: nobody.handle },
  });
  return { handle, serial: Buffer.from(name).readUInt32BE(30) };
}

async function session(scope: Scope): Promise<Held> {
  const { handle, nonceTPM } = await scope.execute(startAuthSession, {
    handles: { tpmKey: nobody, bind: nobody },
    parameters: {
      nonceCaller: Buffer.alloc(32),
      encryptedSalt: none,
      sessionType: 0,
      symmetric: null,
      authHash: 0x0b,
    },
  });
  return { handle, serial: Buffer.from(nonceTPM).readUInt32BE(28) };
}

const random = (scope: Scope) => scope.execute(getRandom, { handles: {}, parameters: { bytesRequested: 2 } });

/** What the work in one scope does next. */
const step = fc.constantFrom('load', 'session', 'random', 'flush', 'both', 'branch', 'throw');
/** What becomes of an exchange: done; refused; to be repeated; no answer before or after it was done; nonsense. */
const fate = fc.oneof(
  { weight: 12, arbitrary: fc.constant('done') },
  { weight: 2, arbitrary: fc.constantFrom('refused', 'again', 'unanswered', 'nonsense') },
  { weight: 2, arbitrary: fc.constant('lost') },
);
const actor = fc.record({
  steps: fc.array(step, { maxLength: 6 }),
  /** Turn of the scheduler after which its signal comes; null: never. */
  abortsAt: fc.option(fc.nat(12), { freq: 2 }),
});

function answerOf(transport: ScriptedTpm, what: string) {
  return (bytes: Buffer): Buffer | null | Promise<Buffer> => {
    const isLoading = [loadExternal.code, startAuthSession.code].includes(bytes.readUInt32BE(6));
    if (what === 'refused') return failure(0x101);
    if (what === 'again') return failure(0x922);
    if (what === 'unanswered') return Promise.reject(new TpmTransportError('no answer'));
    // Nobody can flush what was loaded by an answer that was lost: its handle is not known.
    if (isLoading || what === 'lost') {
      if (isLoading && what === 'lost') return null;
      const response = transport.does(bytes);
      if (what === 'lost') return Promise.reject(new TpmTransportError('the answer was lost'));
      if (what === 'done' || response.readUInt32BE(6) !== 0) return response;
      const longer = Buffer.concat([response, Buffer.of(0)]);
      longer.writeUInt32BE(longer.length, 2);
      return longer;
    }
    return null;
  };
}

t.test('afterwards nothing is loaded, and nobody has flushed what another one used', async (t) => {
  let loads = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(actor, { minLength: 1, maxLength: 4 }),
      fc.array(fate, { maxLength: 60 }),
      async (scheduler, actors, fates) => {
        const transport = new ScriptedTpm();
        transport.answersAll([getRandom], hex('0002aabb'));
        transport.before = () => scheduler.schedule(Promise.resolve());
        transport.script.push(...fates.map((what) => answerOf(transport, what)));
        const tpm = new Tpm({ transport, patience: { firstMs: 1, longestMs: 1, totalMs: 2 } });
        const stolen: Held[] = [];

        const run = async ({ steps, abortsAt }: { steps: readonly string[]; abortsAt: number | null }) => {
          const controller = new AbortController();
          const { signal } = controller;
          if (abortsAt !== null) {
            const turns = scheduler.scheduleSequence(Array.from({ length: abortsAt }, () => async () => {}));
            void turns.task.then(() => controller.abort(new Error('enough')));
          }
          const work = async (scope: Scope) => {
            const mine: Held[] = [];
            const check = () => {
              if (!signal.aborted)
                stolen.push(...mine.filter(({ handle, serial }) => transport.loaded.get(handle) !== serial));
            };
            for (const what of steps) {
              if (what === 'throw') throw new Error('of the work');
              if (what === 'load') mine.push(await load(scope));
              if (what === 'session') mine.push(await session(scope));
              if (what === 'both') mine.push(...(await Promise.all([load(scope), session(scope)])));
              if (what === 'random') await random(scope);
              // Goes on by itself when the other one fails.
              if (what === 'branch')
                await Promise.all([random(scope), load(scope).then(() => session(scope))]);
              const last = what === 'flush' ? mine.pop() : undefined;
              if (last !== undefined) await scope.flush(last.handle);
              check();
            }
            loads += mine.length;
          };
          await tpm.scope(work, signal).catch(() => {});
        };

        const all = Promise.all(actors.map(run));
        await scheduler.waitFor(all);
        // The TPM answers again, whatever happened before.
        transport.script.length = 0;
        await scheduler.waitFor(tpm.close());
        return transport.loaded.size === 0 && stolen.length === 0;
      },
    ),
    { numRuns: 300 },
  );
  t.ok(loads > 20, `${loads} things were loaded at the end of some work`);
});
