/** What a TPM keeps: indices, persistent keys, saved contexts. */
import { createHash, randomBytes } from 'node:crypto';
import { nvType } from '../../../../daemon/attest/tpm2/attributes.ts';
import { nvWrite } from '../../../../daemon/attest/tpm2/commands/nv.ts';
import { contextLoad, contextSave, evictControl } from '../../../../daemon/attest/tpm2/commands/objects.ts';
import { handleType } from '../../../../daemon/attest/tpm2/handles.ts';
import { objectAt } from '../../../../daemon/attest/tpm2/keys.ts';
import {
  extendNv,
  incrementNv,
  nvIndexAt,
  readNv,
  undefineNv,
  writeNv,
} from '../../../../daemon/attest/tpm2/memory.ts';
import { startSession } from '../../../../daemon/attest/tpm2/start-session.ts';
import { handlesOf } from '../../../../daemon/attest/tpm2/status.ts';
import { live, makeAk, makeNv, makeSrk, nvArea, owner, ownerIndex, refused } from './live.ts';

const none = Buffer.alloc(0);

live('an index is made, written, read, and removed', async (t, { tpm }) => {
  const area = nvArea({ dataSize: 1600 });
  const fresh = await makeNv(tpm, area, Buffer.from('password'));
  await refused(t, readNv(tpm, fresh), 'NV_UNINITIALIZED', 'nothing was written');
  await refused(t, makeNv(tpm, area, none), 'NV_DEFINED', 'it exists');
  const data = randomBytes(1600);
  const index = await writeNv(tpm, fresh, data);
  t.same(await readNv(tpm, index), data, 'in several parts');
  t.same(await readNv(tpm, index, { by: owner }), data, 'by the owner');
  t.notSame(index.name, fresh.name, 'the first write changed the Name');
  t.same((await nvIndexAt(tpm, ownerIndex))?.name, index.name, 'as the TPM says it');
  t.same((await writeNv(tpm, index, data.subarray(0, 10))).name, index.name, 'the second does not');
  await tpm.scope(async (scope) => {
    const authorization = await startSession(scope, { kind: 'hmac' });
    await refused(t, readNv(scope, fresh, { authorization }), 'BAD_AUTH', 'a session with the old Name');
    t.same(await readNv(scope, index, { authorization }), data);
  });
  const wrong = { ...index, authValue: Buffer.from('no') };
  await refused(t, readNv(tpm, wrong), 'BAD_AUTH', 'a wrong authorization value');
  await refused(t, writeNv(tpm, index, randomBytes(1601)), 'NV_RANGE', 'too much');
  t.ok((await handlesOf(tpm, handleType.nv)).includes(ownerIndex));
  await undefineNv(tpm, owner, index);
  t.equal(await nvIndexAt(tpm, ownerIndex), null);
  t.notOk((await handlesOf(tpm, handleType.nv)).includes(ownerIndex));
});

live('a counter never goes back', async (t, { tpm, chip }) => {
  const area = nvArea({
    attributes: { type: nvType.counter, set: new Set(['authWrite', 'authRead', 'noDA']) },
    dataSize: 8,
  });
  let index = await makeNv(tpm, area, none);
  index = await incrementNv(tpm, index);
  const first = (await readNv(tpm, index)).readBigUInt64BE();
  index = await incrementNv(tpm, index);
  t.equal((await readNv(tpm, index)).readBigUInt64BE(), first + 1n);
  t.same((await nvIndexAt(tpm, ownerIndex))?.name, index.name);
  const write = tpm.execute(nvWrite, {
    handles: { authHandle: index, nvIndex: index },
    parameters: { data: Buffer.alloc(8), offset: 0 },
  });
  await refused(t, write, 'ATTRIBUTES', 'it cannot be written');
  await tpm.close();
  await chip.cutPower();
  await chip.start();
  t.equal((await readNv(tpm, index)).readBigUInt64BE(), first + 1n, 'through a power cut');
  await undefineNv(tpm, owner, index);
  const again = await incrementNv(tpm, await makeNv(tpm, area, none));
  t.ok((await readNv(tpm, again)).readBigUInt64BE() > first + 1n, 'nor when it is made anew');
});

live('an index that is extended', async (t, { tpm }) => {
  const area = nvArea({
    attributes: { type: nvType.extend, set: new Set(['authWrite', 'authRead', 'noDA']) },
  });
  let index = await makeNv(tpm, area, none);
  let expected: Buffer = Buffer.alloc(32);
  for (const data of [Buffer.from('one'), Buffer.from('two')]) {
    index = await extendNv(tpm, index, data);
    expected = createHash('sha256').update(expected).update(data).digest();
    t.same(await readNv(tpm, index), expected);
  }
});

live('a key that stays', async (t, { tpm, chip }) => {
  const persistentHandle = 0x81000100;
  const name = await tpm.scope(async (scope) => {
    const key = await makeSrk(scope);
    const handles = { auth: owner, objectHandle: key };
    await scope.execute(evictControl, { handles, parameters: { persistentHandle } });
    return key.name;
  });
  t.ok((await handlesOf(tpm, handleType.persistent)).includes(persistentHandle));
  await tpm.close();
  await chip.cutPower();
  await chip.start();
  const kept = await objectAt(tpm, persistentHandle);
  t.same(kept.name, name);
  const handles = { auth: owner, objectHandle: kept };
  const range = tpm.execute(evictControl, { handles, parameters: { persistentHandle: 0x81800000 } });
  await refused(t, range, 'HANDLE RANGE VALUE NV_DEFINED', 'not what the owner may say');
  await tpm.execute(evictControl, { handles, parameters: { persistentHandle } });
  t.notOk((await handlesOf(tpm, handleType.persistent)).includes(persistentHandle));
  await refused(t, objectAt(tpm, persistentHandle), 'HANDLE', 'removed');
});

live('a key that is put aside and taken up again', async (t, { tpm, chip }) => {
  const { context, name } = await tpm.scope(async (scope) => {
    const key = await makeAk(scope);
    const handles = { saveHandle: key };
    return { ...(await scope.execute(contextSave, { handles, parameters: {} })), name: key.name };
  });
  const load = () =>
    tpm.scope(async (scope) => {
      const { handle } = await scope.execute(contextLoad, { handles: {}, parameters: { context } });
      return (await objectAt(scope, handle)).name;
    });
  t.same(await load(), name);
  t.same(await load(), name, 'objects as often as one likes');
  const bent = Buffer.from(context.contextBlob);
  bent[bent.length - 1] = (bent[bent.length - 1] ?? 0) ^ 1;
  const wrong = tpm.scope((scope) =>
    scope.execute(contextLoad, {
      handles: {},
      parameters: { context: { ...context, contextBlob: bent } },
    }),
  );
  await refused(t, wrong, 'INTEGRITY', 'a bit is another');
  await tpm.close();
  await chip.cutPower();
  await chip.start();
  await refused(t, load(), 'INTEGRITY', 'not after the next start');
  t.equal(context.hierarchy, 0x4000000b);
});
