import { createPrivateKey } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { signSet } from '../../../daemon/attest/policy/signature.ts';
import { openPolicies } from '../../../daemon/attest/policy/store.ts';
import type { PolicyStore, Proven } from '../../../daemon/attest/policy/types.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { silentLog } from '../../../daemon/log.ts';
import { alice, bob, rejectionOf, type SetDraft, setText } from './sets.ts';

const value = 'ab'.repeat(32);
const spec = { pcrs: [{ pcr: 8, values: [value] }] };
const text = (version: number, draft: Partial<SetDraft> = {}) => setText({ version, spec, ...draft });
const signature = (content: string, who = alice) =>
  signSet(Buffer.from(content), createPrivateKey(who.privatePem));
const proven: Proven = {
  bank: 'sha256',
  pcrs: new Map([[8, Buffer.from(value, 'hex')]]),
  firmware: null,
  measured: null,
  systemd: null,
  ima: null,
  imaViolations: 0,
};
/** The version that evidence matches now, null when it matches none. */
function matched(store: PolicyStore, now = Date.now()): number | null {
  const found = store.references('pi')?.match(proven, now);
  return found?.isMatch ? found.reference.version : null;
}

async function open(
  t: Test,
  folder: string,
  more: { clock?: typeof systemClock; acceptUnsigned?: boolean } = {},
) {
  const publicKey = path.join(path.dirname(folder), 'alice.pub');
  await writeFile(publicKey, alice.publicPem);
  const store = await openPolicies({
    folder,
    signers: [publicKey],
    acceptUnsigned: false,
    clock: systemClock,
    log: silentLog,
    ...more,
  });
  // The store keeps no process alive; a test that waits for it must.
  const alive = setInterval(() => undefined, 60_000);
  t.teardown(async () => {
    clearInterval(alive);
    await store.close();
  });
  return { store };
}
const change = (store: PolicyStore): Promise<void> => new Promise((resolve) => store.onChange(resolve));
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 10));
}
/** Both files, the signature first: the set is whole from the moment when it is there. */
async function put(folder: string, name: string, content: string, who = alice): Promise<void> {
  await writeFile(path.join(folder, `${name}.sig`), signature(content, who));
  await writeFile(path.join(folder, '.tmp'), content);
  await rename(path.join(folder, '.tmp'), path.join(folder, name));
}

t.test('signed sets count; the others are told with their reason', async (t) => {
  const twin = text(1, { spec: { ...spec, notAfter: '2999-01-01T00:00:00Z' } });
  const parent = t.testdir({
    sets: {
      'a.yaml': text(1),
      'a.yaml.sig': signature(text(1)),
      'b.yml': text(2),
      'b.yml.sig': signature(text(2)),
      'c.yaml': text(3),
      'd.yaml': text(4),
      'd.yaml.sig': signature(text(4), bob),
      'e.yaml': twin,
      'e.yaml.sig': signature(twin),
      'f.yaml': 'a: [',
      'f.yaml.sig': signature('a: ['),
      'g.yaml': {},
      '.h.yaml': text(9),
      'readme.txt': 'no',
    },
  });
  const { store } = await open(t, path.join(parent, 'sets'));
  t.same(
    store.list().map(({ version, signer }) => [version, signer]),
    [
      [1, alice.sha256],
      [2, alice.sha256],
    ],
  );
  t.match(store.list()[0]?.file, /a\.yaml$/, 'not e.yaml, which is the same version');
  t.equal(matched(store), 2);
  t.equal(store.references('other'), null);
  t.match(
    store.problems().map(({ message }) => message),
    [
      /c\.yaml: not signed/,
      new RegExp(`d\\.yaml: signed by ${bob.sha256}`),
      /f\.yaml/,
      /g\.yaml: not a file/,
      /e\.yaml: pi version 1 is already in .*a\.yaml; left out/,
    ],
  );
});

t.test('without a folder there are no sets; with a wrong one the gateway does not start', async (t) => {
  const options = { signers: [], acceptUnsigned: false, clock: systemClock, log: silentLog };
  const none = await openPolicies({ ...options, folder: null });
  t.equal(none.references('pi'), null);
  t.same([none.list(), none.problems()], [[], []]);
  await none.close();
  const folder = path.join(t.testdir({}), 'no');
  t.match(
    await rejectionOf(openPolicies({ ...options, folder }), 'E_POLICY_SET'),
    /cannot be read \(ENOENT\)/,
  );
  t.match(
    await rejectionOf(openPolicies({ ...options, folder: null, signers: [folder] }), 'E_CFG_READ'),
    /no: cannot be read/,
    'a signer that is not there is no signer less',
  );
});

t.test('a rollout: the new version beside the old one, then the old one is taken away', async (t) => {
  const folder = path.join(
    t.testdir({ sets: { 'a.yaml': text(1), 'a.yaml.sig': signature(text(1)) } }),
    'sets',
  );
  const { store } = await open(t, folder);
  t.equal(matched(store), 1);
  let heard = change(store);
  await put(folder, 'b.yaml', text(2));
  await heard;
  t.same(
    store.list().map(({ version }) => version),
    [1, 2],
  );
  t.same(store.problems(), []);
  heard = change(store);
  await rm(path.join(folder, 'a.yaml'));
  await heard;
  t.same(
    store.list().map(({ version }) => version),
    [2],
  );
  t.equal(matched(store), 2);
});

t.test('a file that turns bad drops out, and comes back when it is good again', async (t) => {
  const folder = path.join(
    t.testdir({ sets: { 'a.yaml': text(1), 'a.yaml.sig': signature(text(1)) } }),
    'sets',
  );
  const { store } = await open(t, folder);
  let heard = change(store);
  await writeFile(path.join(folder, 'a.yaml'), text(2));
  await heard;
  t.equal(store.references('pi'), null, 'neither the new content nor the old one');
  t.match(store.problems(), [{ message: /is not for this content/ }]);
  heard = change(store);
  await writeFile(path.join(folder, 'a.yaml.sig'), signature(text(2)));
  await heard;
  t.equal(matched(store), 2);
  heard = change(store);
  await rm(path.join(folder, 'a.yaml.sig'));
  await heard;
  t.equal(matched(store), null);
  t.match(store.problems(), [{ message: /not signed/ }]);
  await rename(folder, `${folder}-away`);
  await until(() => store.problems().some(({ message }) => message.startsWith('cannot be read (ENOENT)')));
  t.same(store.list(), []);
});

t.test('unsigned sets count where the operator allows it, wrongly signed ones never', async (t) => {
  const sets = { 'a.yaml': text(1), 'b.yaml': text(2), 'b.yaml.sig': signature(text(2), bob) };
  const { store } = await open(t, path.join(t.testdir({ sets }), 'sets'), { acceptUnsigned: true });
  t.match(store.list(), [{ version: 1, signer: null }]);
  t.match(store.problems(), [{ message: /not among the signers/ }]);
});

t.test('windows begin and end without a change of the files', async (t) => {
  let time = Date.UTC(2040, 0, 1);
  const instant = (ms: number) => new Date(time + ms).toISOString();
  // So many that the slow look at the folder could not tell of all of them within the time of a test.
  const windows = [1, 2, 3, 4, 5];
  const sets = Object.fromEntries(
    windows.map((version) => {
      const [notBefore, notAfter] = [instant(40 * version - 40), instant(40 * version - 20)];
      return [`${version}.yaml`, text(version, { spec: { ...spec, notBefore, notAfter } })];
    }),
  );
  const clock = { ...systemClock, now: () => time };
  const { store } = await open(t, path.join(t.testdir({ sets }), 'sets'), { clock, acceptUnsigned: true });
  t.equal(matched(store, time), 1);
  for (const expected of [null, 2, null, 3, null, 4, null, 5, null]) {
    const heard = change(store);
    time += 20;
    await heard;
    t.equal(matched(store, time), expected);
  }
  t.equal(store.list().length, windows.length, 'lists show them all the same');
});
