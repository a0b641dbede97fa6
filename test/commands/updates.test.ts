import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { makePolicyKey } from '../../daemon/commands/policy-sign.ts';
import { addBundle, listUpdates } from '../../daemon/commands/updates-bundles.ts';
import {
  abortRollout,
  pauseRollout,
  resumeRollout,
  roll,
  showRollouts,
} from '../../daemon/commands/updates-rollouts.ts';
import { makeBundle, makeBundleSigner, noOpenssl, referencesOf } from '../bridge/rollout/bundles.ts';
import { gateway } from './gateway-folder.ts';

function site(t: Test, policy = '{ identity: token }') {
  const { folder, gatewayConfigPath } = gateway(
    t,
    `policy: ${policy}\nupdates: { folder: updates, trustedSigners: keys/ca.pem }\n`,
  );
  for (const name of ['updates', 'references']) mkdirSync(path.join(folder, name));
  const signer = makeBundleSigner(path.join(folder, 'keys'));
  const bundle = (file: string, version: string, references = referencesOf(version)): string => {
    makeBundle(path.join(folder, file), signer, { version, references });
    return path.join(folder, file);
  };
  const add = (file: string, key: string | null = null) =>
    addBundle({
      bundle: file,
      gatewayConfigPath,
      key,
      output: 'json',
      signal: new AbortController().signal,
    }).then(
      (text) => JSON.parse(text) as { isNew: boolean; set: { file: string | null }; blocked: unknown[] },
    );
  return { folder, gatewayConfigPath, signer, bundle, add };
}

const files = (folder: string): string[] => readdirSync(folder).sort();
const way = { surfaces: null, isForAll: true, atOnce: 1, stopAfterFailures: 1, isPaused: false } as const;

t.test('a version is one content for ever, and a half copy is nothing', { skip: noOpenssl }, async (t) => {
  const { folder, bundle, add, gatewayConfigPath } = site(t);
  const first = bundle('first.raucb', '1.2.0');
  t.match(
    await add(first),
    { isNew: true, set: { file: null }, blocked: [] },
    'no policy: nothing to put into force',
  );
  t.match(await add(first), { isNew: false });
  await t.rejects(add(bundle('second.raucb', '1.2.0')), {
    code: 'E_ROLLOUT',
    message: /one content for ever/,
  });
  const damaged = bundle('third.raucb', '1.3.0');
  const bytes = readFileSync(damaged);
  bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
  writeFileSync(damaged, bytes);
  await t.rejects(add(damaged), { code: 'E_UPDATE_DATA' });
  t.same(files(path.join(folder, 'updates')), ['1.2.0.raucb'], 'nothing is left behind');
  t.match(await listUpdates(gatewayConfigPath, 'text'), /^1\.2\.0 +0\.0 MB +CN=Release +-$/m);
});

t.test(
  'a set is put into force before the bundle is offered, by the key of a policy signer',
  { skip: noOpenssl },
  async (t) => {
    const { folder, bundle, add } = site(
      t,
      '{ identity: token, references: references, signers: [policy.key.pub] }',
    );
    const keys = ['policy.key', 'other.key'].map((name) => path.join(folder, name));
    for (const out of keys) await makePolicyKey({ out, output: 'text' });
    const [key, other] = keys as [string, string];
    const file = bundle('new.raucb', '1.2.0');
    await t.rejects(add(file), { code: 'E_ROLLOUT', message: /give --key/ });
    await t.rejects(add(file, other), { code: 'E_POLICY_SET', message: /not among the signers/ });
    t.same(
      [files(path.join(folder, 'updates')), files(path.join(folder, 'references'))],
      [[], []],
      'nothing was done',
    );
    t.match(await add(file, key), { isNew: true, set: { file: /surfaced-image-1\.2\.0\.yaml$/ } });
    t.match(await add(file), { isNew: false, set: { file: null } }, 'no key is needed for what is in force');
    const twin = bundle('twin.raucb', '1.3.0', referencesOf('1.3.0', 'surfaced-image', 1));
    await t.rejects(add(twin, key), {
      code: 'E_ROLLOUT',
      message: /does not come into force: .*left out/,
    });
    t.same(files(path.join(folder, 'updates')), ['1.2.0.raucb'], 'so its bundle is not offered');
    t.same(files(path.join(folder, 'references')), [
      'surfaced-image-1.2.0.yaml',
      'surfaced-image-1.2.0.yaml.sig',
    ]);
  },
);

t.test(
  'rollouts are files: comments stay, and only the one that is meant changes',
  { skip: noOpenssl },
  async (t) => {
    const { folder, bundle, add, gatewayConfigPath } = site(t);
    await add(bundle('new.raucb', '1.2.0'));
    const which = { gatewayConfigPath, output: 'text' } as const;
    await t.rejects(roll({ ...which, ...way, isForAll: false, version: '1.2.0', name: null }), {
      code: 'E_USAGE',
    });
    await t.rejects(roll({ ...which, ...way, version: '1.9.0', name: null }), { message: /no such bundle/ });
    t.match(
      await roll({ ...which, ...way, version: '1.2.0', name: null }),
      /^Rollout to-1-2-0 to 1\.2\.0: all surfaces/,
    );
    t.match(await roll({ ...which, ...way, version: '1.2.0', name: null }), /^Rollout to-1-2-0-2 /);
    await t.rejects(roll({ ...which, ...way, version: '1.2.0', name: 'to-1-2-0' }), { message: /already/ });
    const text = `# the first
apiVersion: surfaced.dev/v1alpha1
kind: Rollout
metadata: { name: spring }
spec: { version: 1.2.0, surfaces: [desk] } # one only
---
apiVersion: surfaced.dev/v1alpha1
kind: Rollout
metadata: { name: summer }
spec: { version: 1.2.0 }
`;
    const file = path.join(folder, 'updates', 'hand.yaml');
    writeFileSync(file, text);
    await pauseRollout({ ...which, name: 'spring' });
    t.equal(
      readFileSync(file, 'utf8'),
      text.replace('[desk] }', '[desk], isPaused: true }').replace('[desk]', '[ desk ]'),
    );
    t.match(
      await showRollouts({ ...which, name: 'spring' }),
      /spring to 1\.2\.0: the gateway has not begun with it/,
    );
    await resumeRollout({ ...which, name: 'spring', stopAfterFailures: 3 });
    t.match(readFileSync(file, 'utf8'), /surfaces: \[ desk \], stopAfterFailures: 3 \} # one only/);
    await abortRollout({ ...which, name: 'spring' });
    t.notMatch(readFileSync(file, 'utf8'), /spring/);
    await abortRollout({ ...which, name: 'summer' });
    t.same(files(path.join(folder, 'updates')), ['1.2.0.raucb', 'to-1-2-0-2.yaml', 'to-1-2-0.yaml']);
    await t.rejects(pauseRollout({ ...which, name: 'summer' }), {
      code: 'E_ROLLOUT',
      message: /no rollout "summer"/,
    });
    writeFileSync(file, 'kind: Rollout\n');
    await t.rejects(
      pauseRollout({ ...which, name: 'summer' }),
      { code: 'E_CFG_INVALID' },
      'it may be in the broken one',
    );
    const bare = gateway(t);
    await t.rejects(listUpdates(bare.gatewayConfigPath, 'text'), { message: /updates: required here/ });
  },
);
