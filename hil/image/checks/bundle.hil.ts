/**
 * Bundles and their installation with the RAUC of the image itself, 1.13 of the toolbox, with its configuration, handlers and
 * boot state; no machine is started. What RAUC does over dm-verity and over the network is left to the machines in QEMU.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { SurfacedError } from '../../../daemon/errors.ts';
import { checkBundle, readBundle } from '../../../daemon/update/bundle.ts';
import type { Host } from '../../../daemon/update/host.ts';
import { type InstallOrder, installUpdate } from '../../../daemon/update/install.ts';
import { bundleInfo, raucError, slotStatus } from '../../../daemon/update/rauc.ts';
import { readStanding } from '../../../daemon/update/standing.ts';
import { bootStateSector } from '../../../image/boot/boot-state.ts';
import { bootState, cardBytes, footerBytes, partitions, type SlotName } from '../../../image/layout.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { buildBundle, manifestOf } from '../../../image/update/bundle.ts';
import { signingKey } from '../../../image/update/keys.ts';

const toolbox = await ensureToolbox();
// Not /tmp, which the toolbox has one of its own of.
const work = mkdtempSync('/var/tmp/surfaced-bundle-');
t.teardown(() => rmSync(work, { recursive: true, force: true }));
const at = (...names: string[]): string => path.join(work, ...names);
const never = new AbortController().signal;
const files = fileURLToPath(new URL('../../../image/root/files', import.meta.url));
const imageBytes = 8 * 2 ** 20;
const references = 'apiVersion: surfaced.dev/v1alpha1\nkind: ReferenceSet\n';
const rootHash = 'ab'.repeat(32);

const key = await signingKey(at('keys'), {});
const stranger = await signingKey(at('stranger'), {});
const slot = at('slot.img');
writeFileSync(slot, Buffer.concat([randomBytes(imageBytes / 2), Buffer.alloc(imageBytes / 2, 7)]));
const parts = { toolbox, slot, rootHash, references, key, epoch: 1_700_000_000 };
const good = at('good.raucb');
await buildBundle({ ...parts, version: '1.3.0', output: good });
const trusted = readFileSync(key.authorities, 'latin1');

/** Configuration of the image, with paths of this check; a host without dm-verity mounts bundles of the other format. */
function configuration(isPlain: boolean): string {
  const file = at(isPlain ? 'plain.conf' : 'system.conf');
  const text = readFileSync(path.join(files, 'etc/rauc/system.conf'), 'utf8')
    .replace('/etc/rauc/keyring.pem', key.authorities)
    .replace('bundle-formats=-plain', isPlain ? 'bundle-formats=plain verity' : 'bundle-formats=-plain')
    .replaceAll('/data/shared/update', at('root/data/shared/update'))
    .replaceAll('/usr/lib/surfaced', at('root/usr/lib/surfaced'))
    .replace('/dev/disk/by-partuuid/50a7face-02', at('slot-a'))
    .replace('/dev/disk/by-partuuid/50a7face-03', at('slot-b'));
  writeFileSync(file, text);
  return file;
}
const strict = configuration(false);
const rauc = (...args: string[]): Promise<string> => toolbox.run('rauc', args, { binds: [work] });
/** What RAUC says when it refuses; it must. */
const refusal = (...args: string[]): Promise<string> =>
  rauc(...args).then(
    () => 'it was taken',
    (error: Error) => error.message,
  );

t.test('our reader says what rauc says', async (t) => {
  const text = await rauc('-c', strict, 'info', '--output-format=json', good);
  const told = JSON.parse(text.slice(text.indexOf('{')));
  const bundle = await readBundle(good, { trusted, at: null });
  t.match(told, {
    ...{
      compatible: bundle.compatible,
      version: bundle.version,
      hash: bundle.manifestSha256,
      format: 'verity',
    },
    images: [{ rootfs: { checksum: bundle.image.sha256, size: bundle.image.bytes } }],
  });
  t.match(bundle, { version: '1.3.0', rootHash, references, image: { bytes: imageBytes } });
  const shell = await rauc('-c', strict, 'info', '--output-format=shell', good);
  t.match(shell, `RAUC_META_SURFACED_ROOT_HASH='${rootHash}'`);
  await checkBundle(good, bundle, never);
});

t.test('what is taken out of it is what was put in', async (t) => {
  await rauc('-c', strict, 'extract', good, at('out'));
  t.ok(readFileSync(at('out/slot.img')).equals(readFileSync(slot)));
  t.ok(
    existsSync(at('out/slot.img.block-hash-index')),
    'with an index, so that only changed blocks are fetched',
  );
});

t.test('two bundles of the same parts have the same squashfs', async (t) => {
  const again = at('again.raucb');
  await buildBundle({ ...parts, version: '1.3.0', output: again });
  const [one, other] = [
    await readBundle(good, { trusted, at: null }),
    await readBundle(again, { trusted, at: null }),
  ];
  const payload = (file: string): Buffer => readFileSync(file).subarray(0, one.payloadBytes);
  t.equal(one.payloadBytes, other.payloadBytes);
  t.ok(payload(good).equals(payload(again)));
  t.not(one.verity.salt, other.verity.salt, 'rauc takes a new salt each time: what differs');
});

t.test('a flipped byte is refused by both', async (t) => {
  const bundle = await readBundle(good, { trusted, at: null });
  const end = bundle.payloadBytes + bundle.verity.treeBytes;
  const changed = at('changed.raucb');
  for (const byte of [0, 5000, Math.floor(end / 2), bundle.payloadBytes - 1, bundle.payloadBytes + 10]) {
    const bytes = readFileSync(good);
    bytes[byte] = (bytes[byte] ?? 0) ^ 0x20;
    writeFileSync(changed, bytes);
    rmSync(at('none'), { recursive: true, force: true });
    const said = await refusal('-c', strict, 'extract', changed, at('none'));
    t.equal(raucError(said, { place: changed }).code, 'E_UPDATE_DATA', `${byte}: ${said}`);
    await t.rejects(checkBundle(changed, bundle, never), { code: 'E_UPDATE_DATA' });
  }
  const signature = readFileSync(good);
  const last = signature.length - 20;
  signature[last] = (signature[last] ?? 0) ^ 1;
  writeFileSync(changed, signature);
  t.equal(
    raucError(await refusal('-c', strict, 'info', changed), { place: changed }).code,
    'E_UPDATE_SIGNER',
  );
  await t.rejects(readBundle(changed, { trusted, at: null }), { code: /E_UPDATE_(?:BUNDLE|SIGNER)/ });
});

t.test('another signer, another kind of signer, and what is no bundle', async (t) => {
  const theirs = at('theirs.raucb');
  await buildBundle({ ...parts, key: stranger, version: '1.3.0', output: theirs });
  const said = await refusal('-c', strict, 'info', theirs);
  t.equal(raucError(said, { place: theirs }).code, 'E_UPDATE_SIGNER', said);
  await t.rejects(readBundle(theirs, { trusted, at: null }), { code: 'E_UPDATE_SIGNER' });
  const cut = at('cut.raucb');
  writeFileSync(cut, readFileSync(good).subarray(0, -4096));
  t.equal(raucError(await refusal('-c', strict, 'info', cut), { place: cut }).code, 'E_UPDATE_BUNDLE');
  await t.rejects(readBundle(cut, { trusted, at: null }), { code: 'E_UPDATE_BUNDLE' });
  const none = await refusal('-c', strict, 'info', at('nothing.raucb'));
  t.equal(raucError(none, { place: 'x' }).code, 'E_UPDATE_SOURCE', none);
  const plain = await plainBundle('1.3.0');
  t.match(await refusal('-c', strict, 'info', plain), /Bundle format 'plain' not allowed/);
});

/** The same bundle in the format that needs no dm-verity. */
async function plainBundle(version: string, more = (manifest: string): string => manifest): Promise<string> {
  const folder = at(`content-${randomUUID()}`);
  mkdirSync(folder);
  cpSync(slot, path.join(folder, 'slot.img'));
  const manifest = manifestOf({ version, rootHash, references }).replace('format=verity', 'format=plain');
  writeFileSync(path.join(folder, 'manifest.raucm'), more(manifest));
  const output = `${folder}.raucb`;
  await rauc('bundle', `--cert=${key.certificate}`, `--key=${key.privateKey}`, folder, output);
  rmSync(folder, { recursive: true });
  return output;
}

/** A card's boot state, slots as files, and the root that the handlers see; 1.2.0 runs from slot a. */
async function makeSurface(): Promise<Record<string, string>> {
  const root = at('root');
  for (const name of [
    'etc',
    'run/surfaced/boot',
    'run/surfaced/update',
    'run/surfaced-update',
    'data/shared/update/rauc',
  ])
    mkdirSync(path.join(root, name), { recursive: true });
  cpSync(path.join(files, 'usr/lib/surfaced'), path.join(root, 'usr/lib/surfaced'), { recursive: true });
  for (const name of ['slot-a', 'slot-b']) {
    writeFileSync(at(name), '');
    truncateSync(at(name), imageBytes);
  }
  const card = at('card');
  writeFileSync(card, '');
  truncateSync(card, cardBytes);
  const handle = await open(card, 'r+');
  // The slot's footer, which the boot state asks for, would come with a whole image of 640 MiB.
  const footer = Buffer.alloc(footerBytes);
  footer.write(`surfaced-slot 1\nversion=1.3.0\nroot-hash=${rootHash}\n`);
  await handle.write(
    footer,
    0,
    footerBytes,
    partitions.slotB.startBytes + partitions.slotB.bytes - footerBytes,
  );
  await handle.close();
  runs('1.2.0', 'a');
  await setBoot({ good: 'a', trial: null, left: 0 });
  return { SURFACED_ROOT: root, SURFACED_BOOT_STATE_DEVICE: card, SURFACED_COMMAND_LINE: at('cmdline') };
}
function runs(version: string, from: SlotName): void {
  writeFileSync(at('root/etc/os-release'), `IMAGE_ID=surfaced\nIMAGE_VERSION=${version}\n`);
  writeFileSync(at('cmdline'), `quiet surfaced.slot=${from} rauc.slot=${from}\n`);
  const boot = { version, slot: from, 'root-hash': '11'.repeat(32) };
  for (const [name, value] of Object.entries(boot))
    writeFileSync(at('root/run/surfaced/boot', name), `${value}\n`);
}
async function setBoot(state: Parameters<typeof bootStateSector>[0]): Promise<void> {
  const handle = await open(at('card'), 'r+');
  for (const copy of bootState.copies) await handle.write(bootStateSector(state), 0, bootState.bytes, copy);
  await handle.close();
}

/** RAUC's service on a bus of its own; the host that uses it. */
async function withService(t: Test, work: (host: Host, say: () => string) => Promise<void>): Promise<void> {
  const env = await makeSurface();
  const bus = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${at('bus')}`, DBUS_STARTER_BUS_TYPE: 'session' };
  const script = `
    dbus-daemon --session --nofork --nopidfile --address="$DBUS_SESSION_BUS_ADDRESS" & echo $! >"$1/bus.pid"
    until [ -S "$1/bus" ]; do sleep 0.05; done
    rauc -c "$1/plain.conf" --override-boot-slot=a --mount="$1/mount" service & echo $! >"$1/rauc.pid"
    wait`;
  configuration(true);
  mkdirSync(at('mount'), { recursive: true });
  const options = { binds: [at()], env: { ...env, ...bus } };
  const service = toolbox
    .run('sh', ['-c', script, 'service', at()], options)
    .catch((error: Error) => error.message);
  const stop = async (): Promise<void> => {
    for (const name of ['rauc', 'bus']) {
      if (!existsSync(at(`${name}.pid`))) continue;
      const pid = Number(readFileSync(at(`${name}.pid`), 'utf8'));
      if (pid > 0) spawnSync('kill', [String(pid)]);
    }
    await service;
  };
  t.teardown(stop);
  let said = '';
  const host: Host = {
    root: env.SURFACED_ROOT ?? '',
    monotonic: () => performance.now(),
    sleep: async () => undefined,
    run: async ([name, ...args], { onLine }) => {
      if (name === 'systemctl') return { code: 0, stdout: '', text: '' };
      if (name !== 'rauc') {
        const ran = spawnSync(name, args, { env: { ...process.env, ...env }, encoding: 'utf8' });
        return { code: ran.status, stdout: ran.stdout, text: ran.stdout + ran.stderr };
      }
      const isLocal = args[0] === 'info';
      const words = [...(isLocal ? ['-c', at('plain.conf')] : []), ...args];
      // The exit code, for the toolbox only tells whether it was 0.
      const told = await toolbox.run(
        'sh',
        ['-c', 'rauc "$@" 2>"$0"; echo "exit $?"', at('errors'), ...words],
        options,
      );
      const [, stdout = '', code = '1'] = /^([\s\S]*)exit (\d+)\n$/.exec(told) ?? [];
      for (const line of stdout.split('\n')) onLine?.(line);
      said = stdout + readFileSync(at('errors'), 'utf8');
      return { code: Number(code), stdout, text: said };
    },
  };
  // There once the service answers.
  for (let attempt = 0; ; attempt += 1) {
    const isThere = await slotStatus(host, never).then(
      () => true,
      () => false,
    );
    if (isThere) break;
    if (attempt === 20) throw new Error(`RAUC's service does not come up: ${said}`);
  }
  await work(host, () => said);
}

t.test('installations, by rauc, its handlers and the boot state', async (t) => {
  await withService(t, async (host, say) => {
    const order = (place: string, more: Partial<InstallOrder> = {}): InstallOrder => ({
      ...{ place, caPem: null, version: null, manifestSha256: null, mayBeOlder: false, requestId: null },
      ...more,
    });
    const progress: number[] = [];
    const install = (place: string, more: Partial<InstallOrder> = {}) =>
      installUpdate(host, order(place, more), (percent) => progress.push(percent), never);
    const refused = async (code: string, place: string, more: Partial<InstallOrder> = {}): Promise<void> => {
      const error = await install(place, more).then(
        () => null,
        (problem: SurfacedError) => problem,
      );
      t.equal(error?.code, code, error === null ? `expected ${code}, it was installed` : error.message);
      if (error?.code !== code) t.comment(say());
    };
    const newer = await plainBundle('1.3.0');

    await refused('E_UPDATE_BUNDLE', newer, { manifestSha256: '00'.repeat(32) });
    await refused('E_UPDATE_DOWNGRADE', await plainBundle('1.1.0'));
    const foreign = await plainBundle('1.3.0', (manifest) =>
      manifest.replace('surfaced-pi-arm64', 'toaster'),
    );
    await refused('E_UPDATE_COMPATIBLE', foreign);
    await refused('E_UPDATE_BUNDLE', await plainBundle('1.3.0', (text) => text.replace(/\[meta[\s\S]*/, '')));
    t.equal((await readStanding(host, never)).pending, 'none');
    t.equal(readFileSync(at('slot-b')).readUInt32LE(0), 0, 'nothing was written so far');

    mkdirSync(at('root/data/slot-b'));
    writeFileSync(at('root/data/slot-b/old'), 'of a version that was here before');
    t.equal(
      await install(newer, {
        manifestSha256: (await bundleInfo(host, { place: newer, caFile: null }, never)).manifestSha256,
      }),
      '1.3.0',
    );
    t.ok(readFileSync(at('slot-b')).equals(readFileSync(slot)), 'the other slot has the image');
    t.notOk(existsSync(at('root/data/slot-b/old')));
    t.ok(progress.includes(100) && progress.length > 3, `progress: ${[...new Set(progress)].join(' ')}`);
    t.match(await readStanding(host, never), {
      outcome: 'waits',
      last: { version: '1.3.0', slot: 'b', from: '1.2.0' },
    });
    t.match(await slotStatus(host, never), [{ name: 'a' }, { name: 'b', version: '1.3.0', isWhole: true }]);

    await refused('E_UPDATE_PENDING', newer);
    await setBoot({ good: 'a', trial: 'b', left: 0 });
    t.match(await readStanding(host, never), { outcome: 'left' }, 'three starts, and back');
    await refused('E_UPDATE_DOWNGRADE', await plainBundle('1.1.0'));
    t.equal(
      await install(await plainBundle('1.1.0'), { mayBeOlder: true }),
      '1.1.0',
      'root may allow an older one',
    );
    await setBoot({ good: 'a', trial: null, left: 0 });
    await refused('E_UPDATE_DOWNGRADE', await plainBundle('0.0.9'), { mayBeOlder: true });
    if (readFileSync('/proc/devices', 'utf8').includes('device-mapper'))
      t.equal(await install(good), '1.3.0', 'over dm-verity');
    else t.comment('no device mapper here: the bundle over dm-verity is left to the machines in QEMU');
  });
});
