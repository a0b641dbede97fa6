import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readStanding } from '../../daemon/update/standing.ts';
import { bundleOnStick } from '../../daemon/update/usb.ts';
import { FakeHost } from './fake-host.ts';
import { cms, codeSigner, fileOf, manifestFor, payloadOf, pemOf, rootAuthority } from './making.ts';

const signal = new AbortController().signal;
const authority = await rootAuthority();
const signer = await codeSigner({ signer: authority });
const stranger = await rootAuthority('CN=stranger');
const payload = payloadOf(3);
const bundle = async (version: string, by = signer): Promise<Buffer> =>
  fileOf(payload, await cms({ content: Buffer.from(manifestFor(payload, version)), signer: by }));

t.test('the newest bundle that is trusted and newer than what runs', async (t) => {
  const host = new FakeHost('1.2.0');
  t.teardown(() => host.end());
  mkdirSync(host.sandbox.at('etc/rauc'));
  writeFileSync(host.sandbox.at('etc/rauc/keyring.pem'), pemOf(authority));
  const stick = host.sandbox.at('stick');
  mkdirSync(stick);
  const put = (name: string, bytes: Uint8Array): void => writeFileSync(path.join(stick, name), bytes);
  const said: string[] = [];
  const look = async () => {
    said.length = 0;
    const standing = await readStanding(host, signal);
    const found = await bundleOnStick(host, { folder: stick, standing }, (text) => said.push(text));
    return found && path.basename(found.file);
  };
  t.equal(await look(), null, 'an empty stick');
  put('photo.jpg', Buffer.from('x'));
  put('old.raucb', await bundle('1.1.0'));
  put('same.raucb', await bundle('1.2.0'));
  put('.hidden.raucb', await bundle('9.0.0'));
  put('broken.raucb', Buffer.alloc(20_000));
  put('theirs.raucb', await bundle('8.0.0', await codeSigner({ signer: stranger })));
  t.equal(await look(), null);
  t.match(said.sort(), [
    /^broken.raucb: E_UPDATE_BUNDLE/,
    /^old.raucb: 1.1.0 is not/,
    /^same.raucb/,
    /^theirs.raucb: E_UPDATE_SIGNER/,
  ]);
  put('new.raucb', await bundle('1.10.0'));
  put('newer.raucb', await bundle('1.9.0'));
  t.equal(await look(), 'new.raucb');

  const last = { version: '1.10.0', rootHash: 'ab'.repeat(32), slot: 'b', from: '1.2.0' };
  writeFileSync(host.sandbox.at('data/shared/update/last-update.json'), JSON.stringify(last));
  t.equal(await look(), 'newer.raucb', 'one that was left is not tried for ever');
  t.ok(said.some((text) => /^new.raucb: .*was tried and left again/.test(text)));
  await t.rejects(
    bundleOnStick(
      host,
      { folder: `${stick}/none`, standing: await readStanding(host, signal) },
      () => undefined,
    ),
    { code: 'E_UPDATE_SOURCE' },
  );
});
