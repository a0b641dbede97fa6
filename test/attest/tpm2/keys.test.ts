import t from 'tap';
import { readPublic } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { loadPublic, objectAt } from '../../../daemon/attest/tpm2/keys.ts';
import { nameOfPublic } from '../../../daemon/attest/tpm2/names.ts';
import { TpmSessionError } from '../../../daemon/attest/tpm2/session.ts';
import { encodePublic } from '../../../daemon/attest/tpm2/structures/public.ts';
import { akEccP256, srkEccP256 } from '../../../daemon/attest/tpm2/templates.ts';
import { Tpm } from '../../../daemon/attest/tpm2/tpm.ts';
import { ScriptedTpm } from './scripted-tpm.ts';
import { hex } from './vectors.ts';

const sized = (bytes: Buffer) => Buffer.concat([hex(bytes.length.toString(16).padStart(4, '0')), bytes]);

t.test('the Name of what was loaded is computed, and has to be the one that the TPM gave', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = new Tpm({ transport });
  transport.names = () => nameOfPublic(akEccP256);
  await tpm.scope(async (scope) => {
    const loaded = await loadPublic(scope, akEccP256);
    t.match(loaded, { handle: 0x80000000, name: nameOfPublic(akEccP256), publicArea: akEccP256 });
    await t.rejects(loadPublic(scope, srkEccP256), TpmSessionError);
  });
  t.equal(transport.loaded.size, 0, 'what was not believed is flushed too');
});

t.test('so does that of what is there already', async (t) => {
  const transport = new ScriptedTpm();
  const tpm = new Tpm({ transport });
  const [area, name] = [encodePublic(srkEccP256), nameOfPublic(srkEccP256)];
  transport.answersAll([readPublic], Buffer.concat([sized(area), sized(name), sized(name)]));
  t.match(await objectAt(tpm, 0x81000001), { handle: 0x81000001, name });
  transport.answersAll(
    [readPublic],
    Buffer.concat([sized(area), sized(nameOfPublic(akEccP256)), sized(name)]),
  );
  await t.rejects(objectAt(tpm, 0x81000001), TpmSessionError);
});
