import t, { type Test } from 'tap';
import { getRandom } from '../../../daemon/attest/tpm2/commands/general.ts';
import { flushContext, loadExternal } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { Session } from '../../../daemon/attest/tpm2/session.ts';
import { type Scope, Tpm } from '../../../daemon/attest/tpm2/tpm.ts';
import { TpmTransportError } from '../../../daemon/attest/tpm2/transport.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { flushed, held, load, names, random, resized, session, start } from './loading.ts';
import { failure } from './reverse.ts';
import { ScriptedTpm } from './scripted-tpm.ts';
import { hex } from './vectors.ts';

const none = Buffer.alloc(0);

t.test('a scope flushes what was loaded in it, the last first', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  const value = await tpm.scope(async (scope) => {
    await load(scope);
    await session(scope);
    await load(scope);
    return 'done';
  });
  t.equal(value, 'done');
  t.same(flushed(transport), [0x80000001, 0x02000000, 0x80000000]);
  t.equal(transport.loaded.size, 0);
});

t.test('whatever throws', async (t) => {
  const own = new Error('of the work');
  const endings: Readonly<Record<string, (scope: Scope, transport: ScriptedTpm) => unknown>> = {
    'the work': () => {
      throw own;
    },
    'a command that is refused': async (scope, transport) => {
      transport.script.push(() => failure(0x101));
      await random(scope);
    },
    'a command that is not answered': async (scope, transport) => {
      transport.script.push(() => Promise.reject(new TpmTransportError('gone')));
      await random(scope);
    },
    'a command that cannot be written': (scope) => random(scope, 65_536),
    'two commands, of which one is not waited for': async (scope, transport) => {
      transport.script.push(
        () => failure(0x101),
        () => null,
      );
      await Promise.all([random(scope), load(scope)]);
    },
  };
  for (const [name, ending] of Object.entries(endings)) {
    const transport = new ScriptedTpm();
    const tpm = start(transport);
    await t.rejects(
      tpm.scope(async (scope) => {
        await load(scope);
        await session(scope);
        await ending(scope, transport);
      }),
      name,
    );
    t.equal(transport.loaded.size, 0, name);
    t.same((await random(tpm)).randomBytes, hex('aabb'), 'the TPM is ready for more');
  }
});

t.test('a scope that is over takes no commands', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  const kept: { scope: Scope | null } = { scope: null };
  await tpm.scope(async (scope) => {
    kept.scope = scope;
  });
  await t.rejects(load(kept.scope!), { message: 'TPM2_LoadExternal in a scope that is over' });

  // Work that goes on when other work beside it has failed.
  transport.script.push(() => failure(0x101));
  let late: Promise<unknown> = Promise.resolve();
  await t.rejects(
    tpm.scope(async (scope) => {
      const failing = random(scope);
      late = load(scope).then(() => load(scope));
      await Promise.all([failing, late]);
    }),
    { code: 0x101 },
  );
  await t.rejects(late, { message: /in a scope that is over/ });
  t.equal(transport.loaded.size, 0);
});

t.test('what was flushed is forgotten, as its handle may stand for something else soon', async (t) => {
  for (const way of ['flush', 'execute'] as const) {
    const transport = new ScriptedTpm();
    const tpm = start(transport);
    await tpm.scope(async (other) => {
      await tpm.scope(async (scope) => {
        const { handle } = await load(scope);
        if (way === 'flush') await scope.flush(handle);
        else await scope.execute(flushContext, { handles: {}, parameters: { flushHandle: handle } });
        t.equal((await load(other)).handle, handle);
      });
      t.equal(transport.loaded.size, 1, 'what the other scope loaded is still there');
    });
    t.equal(transport.loaded.size, 0);
  }
});

t.test('a session that ended with its last command is forgotten', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  await tpm.scope(async (scope) => {
    const { handle, nonceTPM } = await session(scope);
    const policy = new Session({
      handle,
      kind: 'policy',
      hash: 0x0b,
      nonceCaller: none,
      nonceTPM,
      salt: none,
      bind: null,
    });
    policy.isKept = false;
    transport.script.push(() => {
      transport.loaded.delete(handle);
      return hex('8002000000170000000000000004' + '0002aabb' + '0000000000');
    });
    await scope.execute(getRandom, {
      handles: {},
      parameters: { bytesRequested: 2 },
      sessions: [policy],
    });
  });
  t.same(flushed(transport), []);
});

t.test('what cannot be flushed is tried again', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  const failingFlush = async () => {
    await tpm.scope(async (scope) => {
      await session(scope);
      await load(scope);
      transport.script.push(() => Promise.reject(new TpmTransportError('gone')));
    });
  };
  await failingFlush();
  t.equal(transport.loaded.size, 2, 'nobody answered, so the second one was not tried');
  t.same(flushed(transport), [0x80000000]);
  await tpm.scope(async () => {});
  t.equal(transport.loaded.size, 0, 'at the end of the next scope');

  await failingFlush();
  await tpm.close();
  t.equal(transport.loaded.size, 0, 'at the close');
  await tpm.close();
  t.equal(transport.closed, 2);
});

t.test('a resource manager flushes at the close itself', async (t) => {
  const transport = new ScriptedTpm();
  transport.hasResourceManager = true;
  const tpm = start(transport);
  await tpm.scope(async (scope) => {
    await load(scope);
    transport.script.push(() => failure(0x101));
  });
  t.equal(transport.loaded.size, 1);
  transport.sent.length = 0;
  await tpm.close();
  t.equal(transport.sent.length, 0);
  t.equal(transport.closed, 1);
});

t.test('what is gone already is not tried again', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  await tpm.scope(async (scope) => {
    await load(scope);
    transport.loaded.clear(); // The TPM was reset.
  });
  await tpm.scope(async () => {});
  t.same(flushed(transport), [0x80000000]);
});

t.test('a TPM that is full: what was left over is flushed, and the command sent again', async (t) => {
  for (const [fill, code] of [
    [load, 0x902],
    [session, 0x903],
  ] as const) {
    const transport = new ScriptedTpm();
    const tpm = start(transport);
    await tpm.scope(async (scope) => {
      for (let i = 0; i < 3; i++) await fill(scope);
      transport.script.push(() => Promise.reject(new TpmTransportError('gone')));
    });
    t.equal(transport.loaded.size, 3);
    transport.sent.length = 0;
    const [, again] = [await fill(tpm), names(transport)];
    t.same(again, [again[0], 'FlushContext', 'FlushContext', 'FlushContext', again[0]]);
    t.equal(transport.loaded.size, 1);
    for (let i = 0; i < 2; i++) await fill(tpm);
    const more: Promise<unknown> = fill(tpm);
    await t.rejects(more, { code }, 'with nothing left over it stays full');
  }
});

t.test('a handle that the TPM gives anew is no leftover', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  await tpm.scope(async (scope) => {
    await load(scope);
    transport.script.push(() => Promise.reject(new TpmTransportError('gone')));
  });
  transport.loaded.clear(); // Power was cut; the leftover is none any more.
  await tpm.scope(async (scope) => {
    await load(scope);
    await tpm.scope(async () => {});
    t.equal(transport.loaded.size, 1, 'the new object lives');
  });
  t.equal(transport.loaded.size, 0);
});

t.test('a loading command whose response makes no sense: what it loaded is flushed', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  await t.rejects(
    tpm.scope(async (scope) => {
      transport.script.push((bytes) => {
        const response = transport.does(bytes);
        return resized(Buffer.concat([response, Buffer.of(0)]));
      });
      await load(scope);
    }),
    TpmFormatError,
  );
  t.same(flushed(transport), [0x80000000]);
  t.equal(transport.loaded.size, 0);
});

/** Ends a scope by its signal at a certain point, and says when the caller was released. */
async function abortedScope(
  t: Test,
  tpm: Tpm,
  at: (controller: AbortController) => Promise<void>,
  work: (scope: Scope) => Promise<unknown>,
) {
  const controller = new AbortController();
  const reason = new Error('enough');
  const scope = tpm.scope(work, controller.signal);
  const released = t.rejects(scope, reason);
  await at(controller);
  controller.abort(reason);
  await released;
}

t.test('a signal releases who waits for the TPM; what it loads later is flushed', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  const { reached, release } = held(transport, loadExternal.code);
  await abortedScope(t, tpm, () => reached, load);
  t.equal(transport.loaded.size, 0, 'the caller is released while the TPM is at it');
  release();
  await random(tpm);
  t.same(names(transport), ['LoadExternal', 'FlushContext', 'GetRandom']);
  t.equal(transport.loaded.size, 0);
});

t.test('a signal releases who is in the queue; the command is never sent', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  const { reached, release } = held(transport, getRandom.code);
  const before = random(tpm);
  await abortedScope(t, tpm, () => reached, load);
  t.same(names(transport), ['GetRandom']);
  release();
  await before;
  await random(tpm);
  t.same(names(transport), ['GetRandom', 'GetRandom']);
});

t.test('a signal releases who is in a pause before a repetition', async (t) => {
  const transport = new ScriptedTpm();
  transport.answersAll([getRandom], hex('0002aabb'));
  const longPatience = { firstMs: 3_600_000, longestMs: 3_600_000, totalMs: 7_200_000 };
  const tpm = new Tpm({ transport, patience: longPatience });
  const answered = new Promise<void>((resolve) => {
    transport.script.push(() => {
      setImmediate(resolve);
      return failure(0x922);
    });
  });
  await abortedScope(t, tpm, () => answered, load);
  t.same((await random(tpm)).randomBytes, hex('aabb'), 'the TPM is not kept for the rest of the pause');
  t.same(names(transport), ['LoadExternal', 'GetRandom']);
});

t.test('a signal that has come before', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = start(transport);
  const reason = new Error('enough');
  const { reached, release } = held(transport, getRandom.code);
  const before = random(tpm);
  await reached;
  await t.rejects(tpm.scope(load, AbortSignal.abort(reason)), reason, 'at once, though the TPM is busy');
  release();
  await before;
  await tpm.close();
  t.same(names(transport), ['GetRandom']);
});

t.test('a signal leaves no listeners behind', async (t) => {
  const { signal } = new AbortController();
  const counts = { added: 0, removed: 0 };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    counts.added++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    counts.removed++;
    removeEventListener.apply(signal, args);
  };
  const tpm = start(new ScriptedTpm());
  await tpm.scope(async (scope) => {
    for (let i = 0; i < 5; i++) await random(scope);
  }, signal);
  t.same(counts, { added: 5, removed: 5 });
});
