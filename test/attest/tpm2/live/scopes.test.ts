/** Nothing stays loaded, whatever happens. */
import { setImmediate as turn } from 'node:timers/promises';
import { flushContext } from '../../../../daemon/attest/tpm2/commands/objects.ts';
import { startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import { randomOf } from '../../../../daemon/attest/tpm2/status.ts';
import { leftIn, live, makeAk, makeSrk, refused } from './live.ts';

live('work that throws', async (t, { tpm }) => {
  const thrown = new Error('in the middle');
  const work = tpm.scope(async (scope) => {
    await makeAk(scope);
    await startSession(scope, { kind: 'policy' });
    throw thrown;
  });
  await t.rejects(work, thrown);
  t.same(await leftIn(tpm), []);
});

live('work that does not wait for what it began', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    void makeAk(scope).catch(() => {});
    void startSession(scope, { kind: 'hmac' }).catch(() => {});
    await turn();
  });
  t.same(await leftIn(tpm), []);
});

live('an abort while the TPM is at a command that loads', async (t, { tpm, chip, wire }) => {
  for (const load of [
    makeAk,
    makeSrk,
    (scope: Parameters<typeof makeAk>[0]) => startSession(scope, { kind: 'policy' }),
  ]) {
    await randomOf(tpm, 1);
    const abort = new AbortController();
    chip.freeze();
    const sent = wire.nextSent();
    const work = tpm.scope(async (scope) => {
      await load(scope);
    }, abort.signal);
    const rejected = t.rejects(work, { message: 'enough' }, 'released at once');
    await sent;
    abort.abort(new Error('enough'));
    await rejected;
    chip.thaw();
    t.same(await leftIn(tpm), [], 'and what came is flushed');
  }
});

live('as many scopes at once as there is room for', async (t, { tpm }) => {
  await Promise.all(
    Array.from({ length: 3 }, () =>
      tpm.scope(async (scope) => {
        const session = await startSession(scope, { kind: 'hmac' });
        await scope.flush(session.handle);
        const key = await makeAk(scope);
        await scope.flush(key.handle);
      }),
    ),
  );
  t.same(await leftIn(tpm), []);
});

live('flushed twice', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    await tpm.execute(flushContext, { handles: {}, parameters: { flushHandle: key.handle } });
    await refused(t, scope.flush(key.handle), 'HANDLE', 'by hand');
  });
});

live('room for three objects', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    for (let count = 0; count < 3; count++) await makeAk(scope);
    await refused(t, makeAk(scope), 'OBJECT_MEMORY', 'a fourth');
    t.equal((await leftIn(tpm)).length, 3);
  });
});
