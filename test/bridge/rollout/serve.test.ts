import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import path from 'node:path';
import t, { type Test } from 'tap';
import { createRateLimit } from '../../../daemon/attest/enrol/rate-limit.ts';
import { networkOf } from '../../../daemon/attest/network.ts';
import { bundleRoute, serveBundles } from '../../../daemon/bridge/rollout/serve.ts';
import { bundlePath } from '../../../daemon/bridge/wire/messages.ts';
import { type Rig, startRig } from '../../attest/enrol/rig.ts';
import { offerOf, PaperFolder } from './world.ts';

const content = randomBytes(300_000);

async function serve(t: Test): Promise<{ readonly rig: Rig; readonly folder: PaperFolder }> {
  const root = t.testdir({ state: {} });
  writeFileSync(path.join(root, '1.2.0.raucb'), content);
  writeFileSync(path.join(root, '1.3.0.raucb'), 'not offered');
  writeFileSync(path.join(root, 'secret.yaml'), 'secret');
  const folder = new PaperFolder();
  folder.offered = [{ ...offerOf('1.2.0'), file: path.join(root, '1.2.0.raucb') }];
  const clock = { now: Date.now, monotonic: () => performance.now() };
  const add = serveBundles({ folder, root, clock, createRateLimit, networkOf });
  const rig = await startRig(t, {}, path.join(root, 'state'), { route: bundleRoute, add });
  return { rig, folder };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function client(t: Test, rig: Rig) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: rig.authority.certificatePem });
  t.teardown(() => agent.destroy());
  return (url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        { agent, host: '127.0.0.1', port: rig.port, path: url, method, headers },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(parts),
            }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
}

t.test('whole, in ranges and its size alone', async (t) => {
  const get = client(t, (await serve(t)).rig);
  const url = bundlePath('1.2.0');
  const whole = await get(url);
  t.equal(whole.status, 200);
  t.ok(whole.body.equals(content));
  t.equal(whole.headers['accept-ranges'], 'bytes');
  t.equal(whole.headers['content-type'], 'application/octet-stream');
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 1],
    ['bytes=4096-8191', 4096, 8192],
    ['bytes=299999-', 299_999, 300_000],
    ['bytes=-5', 299_995, 300_000],
    ['bytes=290000-900000', 290_000, 300_000],
  ] as const) {
    const part = await get(url, { range });
    t.equal(part.status, 206, range);
    t.ok(part.body.equals(content.subarray(from, to)), range);
    t.equal(part.headers['content-range'], `bytes ${from}-${to - 1}/300000`);
  }
  t.equal((await get(url, { range: 'bytes=300000-' })).status, 416);
  const head = await get(url, {}, 'HEAD');
  t.same([head.status, head.headers['content-length'], head.body.length], [200, '300000', 0]);
});

t.test('nothing but what is offered, however it is asked for', async (t) => {
  const { rig, folder } = await serve(t);
  const get = client(t, rig);
  for (const name of [
    '1.3.0.raucb',
    '1.2.0',
    'secret.yaml',
    '..%2f1.2.0.raucb',
    '%2e%2e/secret.yaml',
    '..%2fsecret.yaml',
    '..%2fsecret.yaml.raucb',
    '1.2.0.raucb%00.yaml',
    '1.2.0.raucb/',
    '1.2.0.RAUCB',
    '%252e%252e%252fsecret.yaml',
    '',
    '.',
    `${'a'.repeat(3000)}.raucb`,
    '__proto__.raucb',
  ]) {
    const { status, body } = await get(`/v1/updates/${name}`);
    t.ok(status >= 400 && status < 500, `${name.slice(0, 40)}: ${status}`);
    t.notMatch(body.toString(), /secret\n?$|not offered/);
  }
  t.equal((await get(bundlePath('1.2.0'), {}, 'POST')).status, 404);
  folder.offered = [];
  t.equal((await get(bundlePath('1.2.0'))).status, 404, 'nor what is offered no more');
});

t.test('many ranges take nothing from those who enrol, and too many are refused', async (t) => {
  const get = client(t, (await serve(t)).rig);
  const range = { range: 'bytes=0-1' };
  const statuses = new Set<number>();
  for (let batch = 0; batch < 20; batch++)
    for (const { status } of await Promise.all(
      Array.from({ length: 10 }, () => get(bundlePath('1.2.0'), range)),
    ))
      statuses.add(status);
  t.same([...statuses], [206], 'two hundred, and the limit of enrolment is sixty');
  t.equal((await get('/v1/nothing')).status, 404, 'whose permits are all there');
  let refused: Answer | null = null;
  for (let batch = 0; batch < 400 && refused === null; batch++)
    refused =
      (await Promise.all(Array.from({ length: 20 }, () => get(bundlePath('1.9.0'))))).find(
        ({ status }) => status === 429,
      ) ?? null;
  t.equal(refused?.headers['retry-after'], '5');
});

t.test('whoever takes nothing holds a place, and others get theirs', async (t) => {
  const { rig } = await serve(t);
  const get = client(t, rig);
  const agent = new Agent({ ca: rig.authority.certificatePem });
  t.teardown(() => agent.destroy());
  writeFileSync(path.join(t.testdirName, '1.2.0.raucb'), randomBytes(30_000_000));
  const stalled = await Promise.all(
    Array.from(
      { length: 48 },
      () =>
        new Promise<() => void>((resolve, reject) => {
          const outgoing = request(
            { agent, host: '127.0.0.1', port: rig.port, path: bundlePath('1.2.0') },
            (response) => {
              response.on('error', () => undefined);
              resolve(() => outgoing.destroy());
            },
          );
          outgoing.on('error', reject);
          outgoing.end();
        }),
    ),
  );
  const busy = await get(bundlePath('1.2.0'), { range: 'bytes=0-1' });
  t.same([busy.status, busy.headers['retry-after']], [503, '5']);
  for (const end of stalled) end();
  let after = busy;
  while (after.status === 503) after = await get(bundlePath('1.2.0'), { range: 'bytes=0-1' });
  t.equal(after.status, 206);
});
