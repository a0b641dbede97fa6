import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { openImageList, readImages } from '../../../daemon/bridge/admission/image-list.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import { container, digest, good, judgeOf, pod, uid } from './reviews.ts';

const { say } = judgeOf({});
const create = (spec: Readonly<Record<string, unknown>>, namespace = 'shop') =>
  say({ resource: 'pods', namespace, object: pod(spec) });
const images = (...names: string[]) => ({ containers: names.map((name, at) => container(name, `c${at}`)) });

t.test('images are named by digest, and the digest is on the list', async (t) => {
  for (const image of [
    good,
    `cart@${digest('b')}`,
    `localhost:5000/cart:1.2@${digest('a')}`,
    `registry.example.com:5000/a/b/c:v1@${digest('b')}`,
  ])
    t.same(create(images(image)), { uid, allowed: true }, image);
  for (const image of [
    'nginx',
    'nginx:1.27',
    '',
    `nginx@${digest('A')}`,
    `nginx@SHA256:${'a'.repeat(64)}`,
    `nginx@${digest('a')}0`,
    `nginx@${digest('a').slice(0, -1)}`,
    `nginx@sha512:${'a'.repeat(128)}`,
    `@${digest('a')}`,
    digest('a'),
    `nginx@${digest('c')}@${digest('a')}`,
    `nginx@${digest('a')}@${digest('c')}`,
    `nginx@${digest('a')}\n`,
    ` nginx@${digest('a')}`,
  ])
    t.match(create(images(image)), { allowed: false, status: { message: /is not named by digest/ } }, image);
  t.match(create(images(`nginx@${digest('c')}`)), { status: { message: /is not on the list/ } });
  t.match(create({ containers: [{ name: 'web' }] }), { status: { message: /^container "web": image ""/ } });
  t.ok(create(images('nginx'), 'other').allowed, 'a namespace that does not ask for it');
});

t.test('every place of a Pod that holds an image is looked at', async (t) => {
  const places: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    container: { containers: [container(good), container('bad', 'it')] },
    'init container': { initContainers: [{ ...container('bad', 'it'), restartPolicy: 'Always' }] },
    'ephemeral container': { ephemeralContainers: [container('bad', 'it')] },
    'image volume': {
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'it', image: { reference: 'bad' } },
      ],
    },
  };
  for (const [place, spec] of Object.entries(places))
    t.equal(
      create(spec).status?.message,
      `${place} "it": image "bad" is not named by digest (name@sha256:<64 hex digits>)`,
    );
  t.ok(create({ volumes: [{ name: 'it', image: { reference: good } }] }).allowed);
  const many = create(images(...Array.from({ length: 900 }, () => 'b'.repeat(5000))));
  t.match(many.status?.message, /and 895 more|^container "c0"/);
  t.ok((many.status?.message.length ?? 0) <= 1000, 'bounded');
  t.match(create(images(...Array(7).fill('x'))).status?.message, /; and 2 more$/);
});

t.test('a Pod that runs is judged by what is new', async (t) => {
  const old = pod({ containers: [container('nginx:1.27')] });
  const update = (object: unknown, oldObject: unknown, subResource = '') =>
    say({ resource: 'pods', namespace: 'shop', operation: 'UPDATE', subResource, object, oldObject });
  const containers = [container('nginx:1.27')];
  t.ok(update(pod({ containers }, { finalizers: [] }), old).allowed, 'the old image stays');
  t.notOk(update(pod({ containers: [container('nginx:1.28')] }), old).allowed);
  t.ok(update(pod({ containers: [container(good)] }), old).allowed);
  t.notOk(update(pod({ containers }), null).allowed, 'nothing is known of before');
  t.notOk(update(pod({ containers }), { spec: 7 }).allowed, 'nothing can be read of before');
  t.notOk(update(pod({ containers, ephemeralContainers: [container('nginx:1.27', 'debug')] }), old).allowed);
  t.ok(update(pod({ containers, nodeName: 'pi-7' }), old).allowed, 'it has its node already');

  const debug = { ...container('busybox', 'debugger-x'), targetContainerName: 'web', stdin: true, tty: true };
  t.match(update(pod({ containers, ephemeralContainers: [debug] }), old, 'ephemeralcontainers'), {
    allowed: false,
    status: { message: /^ephemeral container "debugger-x": image "busybox"/ },
  });
  const listed = { ...debug, image: good };
  t.ok(update(pod({ containers, ephemeralContainers: [listed] }), old, 'ephemeralcontainers').allowed);
});

t.test('node and images are told in one go', async (t) => {
  const said = create({ nodeName: 'pi-7', containers: [container('nginx')] });
  t.match(said.status?.message, /^node "pi-7" needs attestation.*; container "web": image "nginx"/);
});

t.test('a list: digests, comments, nothing else', async (t) => {
  const text = `# measured 2026-01-01\n${digest('a')}\r\n\n  ${digest('b')}  # cart 1.2\n${digest('a')}`;
  t.same([...readImages(text, 'f')], [digest('a'), digest('b')]);
  t.equal(readImages('', 'f').size, 0);
  for (const line of [digest('A'), 'nginx', `x@${digest('a')}`, `${digest('a')} ${digest('b')}`, '\u0000'])
    t.throws(() => readImages(`\n${line}`, 'f'), { code: 'E_ADMISSION', message: /^f:2: expected sha256:/ });
  fc.assert(
    fc.property(fc.string(), (any) => {
      try {
        return [...readImages(any, 'f')].every((entry) => /^sha256:[0-9a-f]{64}$/.test(entry));
      } catch (error) {
        return error instanceof SurfacedError && error.code === 'E_ADMISSION';
      }
    }),
    { numRuns: 300 },
  );
});

t.test('a list is followed; while it is broken nothing is on it', async (t) => {
  const folder = t.testdir({ 'images.txt': `${digest('a')}\n` });
  const file = path.join(folder, 'images.txt');
  const list = await openImageList({ file, log: silentLog });
  t.teardown(() => list.close());
  const become = async (what: string, isSo: () => boolean) => {
    while (!isSo()) await pause(20);
    t.pass(what);
  };
  t.ok(list.has(digest('a')));
  t.notOk(list.has(digest('b')));
  await writeFile(file, `${digest('b')}\n`);
  await become('another digest', () => list.has(digest('b')) && !list.has(digest('a')));
  await writeFile(file, `${digest('b')}\nnginx:1.27\n`);
  await become('broken', () => list.problem() !== null);
  t.match(list.problem(), /images.txt:2: expected/);
  t.notOk(list.has(digest('b')), 'the last good one does not stay');
  const { say } = judgeOf({}, { images: list });
  t.match(say({ resource: 'pods', namespace: 'shop', object: pod(images(`x@${digest('b')}`)) }), {
    allowed: false,
    status: { message: /^no image can be admitted, because the list of images is broken/ },
  });
  await rm(file);
  await become('gone', () => /ENOENT/.test(list.problem() ?? ''));
  await writeFile(`${file}.new`, `${digest('a')}\n`);
  await rename(`${file}.new`, file);
  await become('again', () => list.problem() === null && list.has(digest('a')));
});

t.test('a list that cannot be used at the start', async (t) => {
  const folder = t.testdir({ dir: {}, large: `#${'x'.repeat(4 * 1024 * 1024)}` });
  for (const [name, problem] of [
    ['none', /ENOENT/],
    ['dir', /not a file/],
    ['large', /larger than/],
  ] as const) {
    const list = await openImageList({ file: path.join(folder, name), log: silentLog });
    t.match(list.problem(), problem);
    t.notOk(list.has(digest('a')));
    await list.close();
  }
});
