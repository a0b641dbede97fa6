import t from 'tap';
import {
  algorithm,
  digest,
  hashOf,
  isHash,
  mostDigestBytes,
} from '../../../daemon/attest/tpm2/algorithms.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';

t.test('hashes and their sizes', async (t) => {
  const known = [
    [algorithm.sha1, 'sha1', 20],
    [algorithm.sha256, 'sha256', 32],
    [algorithm.sha384, 'sha384', 48],
    [algorithm.sha512, 'sha512', 64],
  ] as const;
  for (const [id, name, size] of known) {
    t.same(hashOf(id), { name, size });
    t.equal(isHash(id), true);
    t.equal(digest(id, Buffer.from('abc')).length, size);
    t.ok(size <= mostDigestBytes);
  }
  for (const id of [0, algorithm.rsa, algorithm.null, 0x12, 0x27, 0xffff]) {
    t.equal(isHash(id), false);
    t.throws(() => hashOf(id), TpmFormatError);
  }
});

t.test('a digest is over all parts', async (t) => {
  const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  t.equal(digest(algorithm.sha256, Buffer.from('abc')).toString('hex'), abc);
  t.equal(
    digest(algorithm.sha256, Buffer.from('a'), Buffer.alloc(0), Buffer.from('bc')).toString('hex'),
    abc,
  );
});
