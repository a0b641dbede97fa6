/** Ways to reach a TPM. */
import { existsSync } from 'node:fs';
import t from 'tap';
import { randomOf, statusOf } from '../../../../daemon/attest/tpm2/status.ts';
import { Tpm } from '../../../../daemon/attest/tpm2/tpm.ts';
import { TpmTransportError, type Transport } from '../../../../daemon/attest/tpm2/transport.ts';
import { defaultDevice, tpmDevice } from '../../../../daemon/attest/tpm2/transports/device.ts';
import { mssim } from '../../../../daemon/attest/tpm2/transports/mssim.ts';
import type { StreamAddress } from '../../../../daemon/attest/tpm2/transports/stream.ts';
import { swtpm } from '../../../../daemon/attest/tpm2/transports/swtpm.ts';
import { leftIn, makeAk } from './live.ts';
import { beginSoftwareTpm, withoutSwtpm } from './swtpm.ts';

const akName = '000b886b3e6d3a04321fd22b70ec5ed0ccfe68c5bab84280bdecf61ddb7d94447ec7';

/** Uses a TPM, closes the connection, and uses it once more. */
async function use(t: import('tap').Test, transport: Transport): Promise<void> {
  const tpm = new Tpm({ transport });
  try {
    t.equal((await randomOf(tpm, 200)).length, 200);
    await tpm.scope(async (scope) => {
      t.equal(Buffer.from((await makeAk(scope)).name).toString('hex'), akName);
    });
    await transport.close();
    t.same(await leftIn(tpm), [], 'with a new connection');
  } finally {
    await tpm.close();
    await tpm.close();
  }
}

const ways: Readonly<Record<string, readonly ['unix' | 'tcp', (address: StreamAddress) => Transport]>> = {
  'swtpm over a Unix socket': ['unix', swtpm],
  'swtpm over TCP': ['tcp', swtpm],
  'the protocol of the simulator over TCP': ['tcp', mssim],
  'the protocol of the simulator over a Unix socket': ['unix', mssim],
};
for (const [name, [listensOn, transport]] of Object.entries(ways))
  t.test(name, { skip: withoutSwtpm }, async (t) => {
    const chip = await beginSoftwareTpm(listensOn);
    try {
      await use(t, transport(chip.address));
    } finally {
      await chip.end();
    }
    const tpm = new Tpm({ transport: transport(chip.address) });
    await t.rejects(randomOf(tpm, 1), TpmTransportError, 'when it has gone');
  });

const withoutDevice = existsSync(defaultDevice) ? false : `there is no ${defaultDevice} on this machine`;
t.test('the resource manager of Linux', { skip: withoutDevice }, async (t) => {
  const tpm = new Tpm({ transport: tpmDevice() });
  t.ok((await statusOf(tpm)).manufacturer);
  await tpm.scope(async (scope) => {
    await makeAk(scope);
  });
  t.same(await leftIn(tpm), []);
  await tpm.close();
});

t.test('a device that there is not', async (t) => {
  const tpm = new Tpm({ transport: tpmDevice('/dev/there-is-no-such-tpm') });
  await t.rejects(randomOf(tpm, 1), TpmTransportError);
  await tpm.close();
});
