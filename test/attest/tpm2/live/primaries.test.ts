/** Keys that one TPM makes at every start, and certificates that its maker left in it. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { decode } from '../../../../daemon/attest/tpm2/codec.ts';
import { publicKeyOf } from '../../../../daemon/attest/tpm2/crypto-keys.ts';
import { makePrimary, objectAt, permanent } from '../../../../daemon/attest/tpm2/keys.ts';
import { nvIndexAt, readNv } from '../../../../daemon/attest/tpm2/memory.ts';
import { encodePublic, publicArea } from '../../../../daemon/attest/tpm2/structures/public.ts';
import { ekEccP256High, ekRsa2048, ekRsa2048High } from '../../../../daemon/attest/tpm2/templates.ts';
import { hex, primaryRows } from '../vectors.ts';
import { endorsement, live } from './live.ts';

live('primaries are those that were recorded, with the Names that were', async (t, { tpm }) => {
  for (const row of primaryRows())
    await tpm.scope(async (scope) => {
      const template = decode(row.template, publicArea, hex(row.inPublic));
      const hierarchy = permanent(Number.parseInt(row.hierarchy, 16));
      const key = await makePrimary(scope, { hierarchy, template });
      if (row.hierarchy === '40000007') {
        t.not(Buffer.from(key.name).toString('hex'), row.name, `${row.template}: another at each start`);
        return;
      }
      t.equal(Buffer.from(key.name).toString('hex'), row.name, row.template);
      t.equal(encodePublic(key.publicArea).toString('hex'), row.outPublic, row.template);
      t.same((await objectAt(scope, key.handle)).name, key.name, 'read back');
    });
});

live('endorsement keys of the high range are others than those of the low range', async (t, { tpm }) => {
  await tpm.scope(async (scope) => {
    const names = new Set<string>();
    for (const template of [ekRsa2048, ekRsa2048High, ekEccP256High]) {
      const { name } = await makePrimary(scope, { hierarchy: endorsement, template });
      names.add(Buffer.from(name).toString('hex'));
    }
    t.equal(names.size, 3);
  });
});

live('endorsement certificates in both ranges of NV indices', async (t, { tpm }) => {
  const low = await nvIndexAt(tpm, 0x01c00002);
  const high = await nvIndexAt(tpm, 0x01c00016);
  if (low === null || high === null) throw new Error('the state has both');
  const rsa = await readNv(tpm, low);
  t.same(rsa, await readFile(new URL('state/ek_rsa_cert.der', import.meta.url)));
  await tpm.scope(async (scope) => {
    const { publicArea: area } = await makePrimary(scope, { hierarchy: endorsement, template: ekRsa2048 });
    const n = (key: { export(options: { format: 'jwk' }): { n?: string } }) =>
      key.export({ format: 'jwk' }).n;
    t.equal(n(publicKeyOf(area)), n(new X509Certificate(rsa).publicKey), 'of the key that the TPM makes');
  });
  const ecc = new X509Certificate(await readNv(tpm, high));
  t.equal(ecc.publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1');
  const ca = new X509Certificate(await readFile(new URL('state/issuercert.pem', import.meta.url)));
  t.ok(ecc.verify(ca.publicKey), 'both were issued by the same');
  t.ok(new X509Certificate(rsa).verify(ca.publicKey));
});

live('an index that there is not', async (t, { tpm }) => {
  for (const index of [0x01c0000a, 0x01c00012, 0x01800000, 0x01ffffff])
    t.equal(await nvIndexAt(tpm, index), null, `0x${index.toString(16)}`);
});
