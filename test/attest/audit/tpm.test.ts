import { EventEmitter, once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { readHead } from '../../../daemon/attest/audit/head.ts';
import { type Signer, tpmSigner } from '../../../daemon/attest/audit/signers.ts';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import { qualifyingData } from '../../../daemon/attest/evidence/binding.ts';
import {
  akEccP256,
  algorithm,
  attest,
  decode,
  ekEccP256,
  encode,
  encodePublic,
  handle,
  makePrimary,
  nameOfPublic,
  permanent,
  quotePcrs,
  readPcrs,
  signature,
  swtpm,
  Tpm,
} from '../../../daemon/attest/tpm2/index.ts';
import { clockState } from '../../../daemon/attest/verifier/clock.ts';
import { beginSoftwareTpm, withoutSwtpm } from '../tpm2/live/swtpm.ts';
import {
  allSigned,
  certificate,
  openIn,
  PretendTpm,
  placeIn,
  recordsIn,
  sha256,
  started,
  verifyIn,
  write,
} from './rig.ts';

const skip = withoutSwtpm;

/** Tells each signature, and each that did not come about. */
function watched(signer: Signer): { readonly signer: Signer; readonly events: EventEmitter } {
  const events = new EventEmitter();
  const sign: Signer['sign'] = async (head, signal) => {
    try {
      const signed = await signer.sign(head, signal);
      events.emit('signed', head);
      return signed;
    } catch (problem) {
      events.emit('failed', problem);
      throw problem;
    }
  };
  return {
    events,
    signer: {
      get known() {
        return signer.known;
      },
      pauseMs: 0,
      sign,
    },
  };
}

t.test(
  'the head is signed by a TPM with its clock in it, and waits for one that is away',
  { skip },
  async (t) => {
    const chip = await beginSoftwareTpm();
    t.teardown(() => chip.end());
    const tpm = new Tpm({ transport: swtpm(chip.address) });
    t.teardown(() => tpm.close());
    const place = await placeIn(t.testdir());
    const { signer, events } = watched(tpmSigner(tpm));
    t.equal(signer.pauseMs, 0);
    t.equal(tpmSigner(tpm).pauseMs, 5000);
    const on = { ...place, signer };
    const first = await openIn(on);
    const isSigned = once(events, 'signed');
    await first.append(started);
    await isSigned;
    await first.append(certificate(1));
    await allSigned(first);
    await first.close();
    const kinds = async () => (await recordsIn(place.folder)).map(({ event }) => event.kind);
    t.same((await kinds()).filter((kind) => kind === 'signer').length, 1, 'named once it is known');
    const report = await verifyIn(place.folder);
    t.match(report, { isSound: true, unsigned: 0, head: { signerType: 'tpm2', clock: { isSafe: true } } });

    await chip.cutPower();
    const away = await openIn(on);
    const isFailed = once(events, 'failed');
    await away.append(certificate(2));
    t.match((await isFailed)[0], { code: 'E_TPM_OPEN' });
    await away.append(certificate(3));
    t.match(away.health(), { ok: false, detail: /not signed yet: signing the head/ });
    await away.close();
    t.match(await verifyIn(place.folder), { isSound: true, unsigned: 2 });

    await chip.start();
    const isSignedAgain = once(events, 'signed');
    const back = await openIn(on);
    t.equal((await isSignedAgain)[0].seq, back.last.seq, 'without a new record');
    await allSigned(back);
    await back.close();
    const after = await verifyIn(place.folder);
    t.match(after, { isSound: true, unsigned: 0, head: { signer: report.head!.signer } });
    t.equal(after.head!.clock!.resetCount, report.head!.clock!.resetCount + 1, 'another power-on');
    t.same((await kinds()).slice(-2), ['certificate', 'certificate']);

    // The words of a TPM for another head, of another kind, by another kind of key.
    const file = path.join(place.folder, 'head.json');
    const good = await readFile(file, 'utf8');
    const head = (await readHead(place.folder))!;
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
    const quoted = new PretendTpm().verdict('e').quote!;
    for (const [text, what] of [
      [good.replace(`"at":${head.at}`, `"at":${head.at + 1}`), /signed another head/],
      [good.replace(base64(head.attest!), base64(quoted.attest)), /something else than its clock/],
      [good.replace(base64(head.signature), base64(quoted.signature)), /signature does not hold/],
      [good.replace(base64(head.signer.public), base64(quoted.claims.ekPublic)), /no attestation key/],
      [good.replace(/"attest":"[^"]*"/, '"attest":null'), /word of the TPM is missing/],
      [good.replace('"tpm2"', '"ed25519"'), /no Ed25519 key/],
    ] as const) {
      t.not(text, good);
      await writeFile(file, text);
      t.match(await verifyIn(place.folder), { isSound: false, faults: [{ file: 'head.json', what }] });
    }
  },
);

t.test('a quote of a real TPM is judged again', { skip }, async (t) => {
  const chip = await beginSoftwareTpm();
  t.teardown(() => chip.end());
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  t.teardown(() => tpm.close());
  const template = new PretendTpm().verdict('e1');
  const bank = { hash: algorithm.sha256, pcrs: [0, 7, 14] };
  const event = await tpm.scope(async (scope) => {
    const hierarchy = permanent(handle.endorsement);
    const ek = await makePrimary(scope, { hierarchy, template: ekEccP256 });
    const key = await makePrimary(scope, { hierarchy, template: akEccP256 });
    const signed = await quotePcrs(scope, {
      key,
      qualifyingData: qualifyingData(template.quote!),
      pcrs: [bank],
    });
    const [values] = await readPcrs(scope, [bank]);
    return {
      ...template,
      verdict: {
        ...template.verdict,
        ekSha256: ekPublicSha256(ek.publicArea),
        akName: nameOfPublic(key.publicArea).toString('hex'),
        clock: clockState(decode('attest', attest, signed.attest)),
      },
      quote: {
        ...template.quote!,
        claims: { ekPublic: encodePublic(ek.publicArea), akPublic: encodePublic(key.publicArea) },
        attest: signed.attest,
        signature: encode(signature, signed.signature),
        pcrs: values!.values,
      },
    };
  });
  const place = await placeIn(t.testdir());
  await write(place, [started, event]);
  t.match(await verifyIn(place.folder), { isSound: true, quotes: { held: 1 } });
  const other = await placeIn(t.testdir(), 'other');
  await write(other, [started, { ...event, quote: { ...event.quote, nonce: sha256('another') } }]);
  t.match(await verifyIn(other.folder), { isSound: false, faults: [{ seq: 3, what: /^binding: / }] });
});
