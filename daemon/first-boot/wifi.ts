/**
 * A network as iwd takes it: iwd.network(5) for names and contents of the files, iwd.config(5) for the country. iwd itself
 * makes the key of a passphrase, once more at each start; WPA3 needs the passphrase, so it is kept.
 */

import { z } from 'zod';
import { SurfacedError } from '../errors.ts';

/** What a file says of a network. */
export interface WifiFields {
  readonly ssid: string | null;
  readonly ssidHex: string | null;
  readonly password: string | null;
  /** Whether the password is the key (PMK) in hex; null: by its form. */
  readonly isKey: boolean | null;
  readonly isHidden: boolean;
  /** Two capital letters. */
  readonly country: string | null;
  readonly keyManagement: 'none' | 'owe' | 'wpa-psk' | 'sae' | null;
}

/** A network with a file for iwd. */
export interface WifiNetwork {
  readonly fileName: string;
  /** Secret. */
  readonly fileText: string;
  readonly country: string | null;
  /** Without the passphrase, and so without WPA3. */
  readonly isKeyOnly: boolean;
}

/** A network, or what is wrong with it: a message without values, and the field that it is about. */
export type ReadNetwork =
  | { readonly network: WifiNetwork }
  | {
      readonly network: null;
      readonly field: 'ssid' | 'ssid_hex' | 'password' | null;
      readonly problem: string;
    };

/** Reads a network. */
export function networkOf(fields: WifiFields): ReadNetwork {
  const { password, isHidden, country, keyManagement } = fields;
  const refused = (field: 'ssid' | 'ssid_hex' | 'password' | null, problem: string): ReadNetwork => ({
    network: null,
    field,
    problem,
  });
  if (fields.ssid === null && fields.ssidHex === null)
    return refused(null, 'expected ssid, the name of the network');
  if (fields.ssidHex !== null && !/^(?:[0-9a-fA-F]{2})+$/.test(fields.ssidHex))
    return refused('ssid_hex', 'expected pairs of hex digits');
  const ssid =
    fields.ssidHex === null ? Buffer.from(fields.ssid ?? '', 'utf8') : Buffer.from(fields.ssidHex, 'hex');
  const field = fields.ssidHex === null ? 'ssid' : 'ssid_hex';
  if (ssid.length < 1 || ssid.length > 32) return refused(field, 'expected 1 to 32 bytes');
  const name = fileNameOf(ssid);
  const settings = isHidden ? ['', '[Settings]', 'Hidden=true'] : [];
  const network = (type: 'open' | 'psk', security: readonly string[], isKeyOnly: boolean): ReadNetwork => ({
    network: {
      fileName: `${name}.${type}`,
      fileText: `${[...security, ...settings].join('\n').trimStart()}\n`,
      country,
      isKeyOnly,
    },
  });

  if (keyManagement === 'none' || keyManagement === 'owe' || (keyManagement === null && !password)) {
    return password
      ? refused('password', 'is there, though key_mgmt says that the network is open')
      : network('open', [], false);
  }
  if (!password) return refused('password', 'is missing');
  const isHex = /^[0-9a-fA-F]{64}$/.test(password);
  if (isHex && fields.isKey !== false)
    return network('psk', ['[Security]', `PreSharedKey=${password.toLowerCase()}`], true);
  if (fields.isKey === true)
    return refused('password', 'expected 64 hex digits, as password_encrypted is true');
  // IEEE 802.11, annex J.4: a passphrase is 8 to 63 characters of printable ASCII.
  if (!/^[ -~]{8,63}$/.test(password))
    return refused(
      'password',
      'expected 8 to 63 letters, digits and signs of ASCII, or a key of 64 hex digits',
    );
  return network('psk', ['[Security]', `Passphrase=${escaped(password)}`], false);
}

/** iwd.network(5), "NAMING". */
function fileNameOf(ssid: Buffer): string {
  const text = ssid.toString('latin1');
  return /^[A-Za-z0-9 _-]+$/.test(text) ? text : `=${ssid.toString('hex')}`;
}

/** iwd.network(5), "FILE FORMAT": a backslash, and a space where it might be taken for layout. */
function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll(' ', '\\s');
}

/** A network as it is kept. */
export const networkText = ({ fileName, fileText, country }: WifiNetwork): string =>
  JSON.stringify({ fileName, fileText, country });

const kept = z.strictObject({
  // It becomes a name in a folder.
  fileName: z.string().regex(/^(?:[A-Za-z0-9 _-]{1,32}|=[0-9a-f]{2,64})\.(?:psk|open)$/),
  fileText: z.string().max(1000),
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .nullable(),
});

/** Reads it again. @throws SurfacedError E_SECRET */
export function readNetwork(text: string): z.output<typeof kept> {
  try {
    return kept.parse(JSON.parse(text));
  } catch {
    // Without the cause, which quotes the text.
    throw new SurfacedError('E_SECRET', 'what is kept of the network was changed');
  }
}

/** The settings of iwd itself; a country is a request that the kernel may grant. */
export const iwdSettings = (country: string | null): string =>
  country === null ? '' : `[General]\nCountry=${country}\n`;
