import t from 'tap';
import { decode } from '../../../daemon/attest/tpm2/codec.ts';
import { nameOfHandle, nameOfNv, nameOfPublic, qualifiedName } from '../../../daemon/attest/tpm2/names.ts';
import { nvPublicBuffer } from '../../../daemon/attest/tpm2/structures/nv.ts';
import { publicArea } from '../../../daemon/attest/tpm2/structures/public.ts';
import { Reader, TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { exchanges, hex, primaryRows, vector } from './vectors.ts';

t.test('of keys: as the TPM computed them', async (t) => {
  for (const { template, outPublic, name } of primaryRows()) {
    const area = decode('TPMT_PUBLIC', publicArea, hex(outPublic));
    t.equal(nameOfPublic(area).toString('hex'), name, template);
  }
});

t.test('of keys: their nameAlg has to be a hash', async (t) => {
  const area = decode('TPMT_PUBLIC', publicArea, hex(primaryRows()[0]!.outPublic));
  t.throws(() => nameOfPublic({ ...area, nameAlg: 0x0010 }), TpmFormatError);
});

t.test('of NV indices: the first write changes them', async (t) => {
  const values = vector('e8', 'nv_write_policy_authvalue');
  const names = new Set<string>();
  const reads = exchanges('e8').filter(({ name, rsp }) => name === 'NV_ReadPublic' && rsp.length > 20);
  for (const { rsp } of reads) {
    const reader = new Reader(hex(rsp).subarray(10));
    const area = nvPublicBuffer.read(reader);
    const name = nameOfNv(area);
    t.same(name, reader.bytes(reader.u16()), 'as the TPM says');
    names.add(name.toString('hex'));
  }
  t.ok(names.has(values('indexNameBefore').toString('hex')));
  t.ok(names.has(values('indexNameAfter').toString('hex')));
});

t.test('of everything else: the handle', async (t) => {
  t.equal(nameOfHandle(0x4000000b).toString('hex'), '4000000b');
  t.equal(nameOfHandle(16).toString('hex'), '00000010');
});

t.test('qualified names say the hierarchy', async (t) => {
  const name = hex('000b886b3e6d3a04321fd22b70ec5ed0ccfe68c5bab84280bdecf61ddb7d94447ec7');
  const qualified = '000ba15e64610d7f1820b251a2375ba0143a2eed9cc4b4d9d89a06890d105797caac';
  t.equal(qualifiedName(nameOfHandle(0x4000000b), name).toString('hex'), qualified);
  t.not(qualifiedName(nameOfHandle(0x40000001), name).toString('hex'), qualified);
});
