import t from 'tap';
import { createPrimary } from '../../../daemon/attest/tpm2/commands/objects.ts';
import { permanent } from '../../../daemon/attest/tpm2/keys.ts';
import { Message } from '../../../daemon/attest/tpm2/message.ts';
import { encodePublic, type Public } from '../../../daemon/attest/tpm2/structures/public.ts';
import * as templates from '../../../daemon/attest/tpm2/templates.ts';
import { primaryRows } from './vectors.ts';

const policyA = '0020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';
const policyB = '0020ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0';
const zeros = (bytes: number) => '00'.repeat(bytes);
const aes = '000600800043';
const storageRsa = `${aes}0010080000000000`;
const storageEcc = `${aes}001000030010`;

/** Field by field as the TCG's profiles print them. */
const bytes: Readonly<Record<string, readonly [template: Public, hex: string]>> = {
  'EK RSA L-1': [templates.ekRsa2048, `0001000b000300b2${policyA}${storageRsa}0100${zeros(256)}`],
  'EK ECC L-2': [
    templates.ekEccP256,
    `0023000b000300b2${policyA}${storageEcc}0020${zeros(32)}0020${zeros(32)}`,
  ],
  'EK RSA H-1': [templates.ekRsa2048High, `0001000b000300f2${policyB}${storageRsa}0000`],
  'EK ECC H-2': [templates.ekEccP256High, `0023000b000300f2${policyB}${storageEcc}00000000`],
  'SRK RSA': [templates.srkRsa2048, `0001000b000304720000${storageRsa}0100${zeros(256)}`],
  'SRK ECC': [templates.srkEccP256, `0023000b000304720000${storageEcc}0020${zeros(32)}0020${zeros(32)}`],
  'AK ECC': [templates.akEccP256, '0023000b00050472000000100018000b0003001000000000'],
  'AK RSA': [templates.akRsa2048, '0001000b00050472000000100014000b0800000000000000'],
  'sealed, with an authorization value': [templates.sealed(null), '0008000b00000452000000100000'],
  'sealed, with a policy': [templates.sealed(templates.policyB), `0008000b00000412${policyB}00100000`],
};

t.test('byte for byte', async (t) => {
  for (const [name, [template, hex]] of Object.entries(bytes))
    t.equal(encodePublic(template).toString('hex'), hex, name);
});

t.test('the whole command that makes each key, as it was sent to a TPM', async (t) => {
  const rows = new Map(primaryRows().map((row) => [row.template, row]));
  const known: readonly (readonly [row: string, template: Public])[] = [
    ['EK RSA-2048 (L-1, low range)', templates.ekRsa2048],
    ['EK ECC P-256 (L-2, low range)', templates.ekEccP256],
    ['SRK ECC P-256, unique = 32+32 zero bytes', templates.srkEccP256],
    ['SRK RSA-2048, unique = 256 zero bytes', templates.srkRsa2048],
    ['AK ECC P-256 primary, endorsement hierarchy, noDA', templates.akEccP256],
    ['AK RSA-2048 primary, endorsement hierarchy, noDA', templates.akRsa2048],
  ];
  for (const [name, template] of known) {
    const row = rows.get(name);
    if (row === undefined) throw new Error(`no row ${name}`);
    t.equal(encodePublic(template).toString('hex'), row.inPublic, name);
    const none = Buffer.alloc(0);
    const message = new Message(createPrimary, {
      handles: { primaryHandle: permanent(Number.parseInt(row.hierarchy, 16)) },
      parameters: {
        inSensitive: { userAuth: none, data: none },
        inPublic: template,
        outsideInfo: none,
        creationPCR: [],
      },
    });
    t.equal(message.encode().toString('hex'), row.cmd, `the command: ${name}`);
  }
});
