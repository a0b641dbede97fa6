/** Decisions of operators that come at the same time, and questions that would be too many. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { KubeError } from '../../daemon/bridge/kube/types.ts';
import { approveIn } from '../../daemon/bridge/registry/approve-file.ts';
import { parseConfigs } from '../../daemon/config/load.ts';
import { createDecisions, type DecisionParts } from '../../daemon/gateway-pages/decisions.ts';
import { silentLog } from '../../daemon/log.ts';
import type { PageUser } from '../../daemon/web/sources.ts';

const olga: PageUser = { name: 'olga', uid: '', groups: [], extra: {} };
const [one, other] = ['1', '2'].map((digit) => digit.repeat(64)) as [string, string];
const head = 'apiVersion: surfaced.dev/v1alpha1\nkind: ControlSurface\n';

async function registry(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-decisions-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const decisions = (folder: string, write: (body: unknown) => Promise<unknown>) =>
  createDecisions({
    config: { registry: { folder }, cluster: { userPrefix: 'surfaced:', group: 'surfaced:surfaces' } },
    cluster: { access: { write: ({ body }: { body: unknown }) => write(body) } },
    attesting: {
      quarantine: () => [one, other].map((ekSha256) => ({ ekSha256, pairingCode: '1234-5678' })),
    },
    audit: { append: async () => {} },
    namespace: 'surfaced',
    signal: new AbortController().signal,
    log: silentLog,
  } as unknown as DecisionParts);

t.test('two TPMs for one name at a time: the second is refused, as it would be a minute later', async (t) => {
  const folder = await registry(t);
  const { approve } = decisions(folder, t.fail as never);
  const as = (ekSha256: string) =>
    approve(
      { ekSha256, code: '12345678', name: 'desk', level: null, policy: null, isReplacing: false },
      olga,
    );
  await writeFile(path.join(folder, 'desk.yaml'), `${head}metadata: { name: desk }\nspec: {}\n`);
  const ends = await Promise.allSettled([as(one), as(other)]);
  t.same(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  t.match(ends[1], { reason: { code: 'E_USAGE', message: /has another TPM/ } });
  t.match(await readFile(path.join(folder, 'desk.yaml'), 'utf8'), one);
});

t.test('a revocation is not lost to an approval at the same time', async (t) => {
  for (let round = 0; round < 5; round++) {
    const folder = await registry(t);
    await writeFile(path.join(folder, 'desk.yaml'), `${head}metadata: { name: desk }\nspec: {}\n`);
    const { approve, setRevoked } = decisions(folder, t.fail as never);
    const decision = { code: '12345678', name: 'desk', level: null, policy: null, isReplacing: false };
    await Promise.all([approve({ ekSha256: one, ...decision }, olga), setRevoked('desk', true, olga)]);
    const text = await readFile(path.join(folder, 'desk.yaml'), 'utf8');
    t.match(text, one);
    t.match(text, /isRevoked: true/);
  }
});

t.test('an approval that would break the file of its surface changes nothing', async (t) => {
  const folder = await registry(t);
  const text = `${head}metadata: { name: desk }\nspec: {}\n`;
  await writeFile(path.join(folder, 'desk.yaml'), text);
  const approval = { ekSha256: one, level: null, policy: 'no such/name', isReplacing: false };
  for (const name of ['desk', 'new'])
    await t.rejects(approveIn(folder, { name, ...approval }), { code: 'E_CFG_INVALID', message: /policy/ });
  t.same(await readdir(folder), ['desk.yaml']);
  t.equal(await readFile(path.join(folder, 'desk.yaml'), 'utf8'), text);
});

const many = parseConfigs(
  'ControlSurface',
  `${head}metadata: { name: desk }
spec:
  bindings:
${Array.from(
  { length: 40 },
  (_, index) =>
    `    - { control: fader${index}, max: 9, target: { apiVersion: apps/v1, kind: Deployment, namespace: shop, name: cart${index} } }`,
).join('\n')}
`,
  'desk.yaml',
  null,
)[0];

t.test('the rights of many bindings are asked for a few at a time', async (t) => {
  let [now, most, asked] = [0, 0, 0];
  const { bindingRights } = decisions(await registry(t), async () => {
    asked++;
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
    return { status: { allowed: true } };
  });
  const rights = await bindingRights(many as never);
  t.equal(rights.length, 40);
  t.ok(asked >= 40);
  t.equal(most, 8);
});

t.test('and no further once nobody answers', async (t) => {
  let asked = 0;
  const { bindingRights } = decisions(await registry(t), async () => {
    asked++;
    await new Promise((resolve) => setImmediate(resolve));
    throw new KubeError('away', { status: 0, reason: 'Unreachable', retryAfterMs: null, isUncertain: false });
  });
  await t.rejects(bindingRights(many as never), { code: 'E_PAGES_ASK' });
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.ok(asked <= 16, `${asked} questions`);
});
