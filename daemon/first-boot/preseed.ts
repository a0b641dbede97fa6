/**
 * `rpi-preseed.toml`, as Raspberry Pi Imager writes it. Its sections stand for themselves: one that is wrong is refused, the
 * others count. Keys that nobody knows are told and passed over. No message carries a value: many of them are secret.
 */
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { SurfacedError } from '../errors.ts';
import type { Note } from './outcome.ts';
import { readKeys } from './ssh-keys.ts';
import { networkOf, type WifiNetwork } from './wifi.ts';

/** What the file asks for; null: it says nothing about that, or what it says is refused. */
export interface Preseed {
  readonly hostname: string | null;
  readonly network: WifiNetwork | null;
  readonly ssh: { readonly isEnabled: boolean; readonly keys: readonly string[] } | null;
  readonly timezone: string | null;
}

const text = (expected: string) => z.string({ error: `expected text in quotes: ${expected}` });
const yesOrNo = z.boolean({ error: 'expected true or false, without quotes' }).optional();
const words = (expected: string, most: number) =>
  z
    .array(text(expected), { error: `expected a list in square brackets: ${expected}` })
    .max(most, { error: `expected at most ${most} entries` });

const hostname = 'letters, digits and dashes, at most 63';
const sections = {
  system: z.object({
    hostname: text(hostname)
      .regex(/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/, { error: `expected ${hostname}` })
      .optional(),
  }),
  user: z.object({
    name: text('a name').optional(),
    password: text('a password').optional(),
    password_encrypted: yesOrNo,
    groups: words('names of groups', 100).optional(),
    passwordless_sudo: yesOrNo,
  }),
  ssh: z.object({
    enabled: yesOrNo,
    password_authentication: yesOrNo,
    authorized_keys: words('lines such as "ssh-ed25519 AAAA... me@desk"', 64).optional(),
  }),
  wlan: z.object({
    ssid: text('the name of the network').optional(),
    ssid_hex: text('the name of the network in hex').optional(),
    password: text('the password of the network').optional(),
    password_encrypted: yesOrNo,
    hidden: yesOrNo,
    country: text('two letters such as "DE"')
      .regex(/^[A-Za-z]{2}$/, { error: 'expected two letters such as "DE"' })
      .optional(),
    key_mgmt: z
      .enum(['none', 'owe', 'wpa-psk', 'sae'], { error: 'expected one of "none", "owe", "wpa-psk", "sae"' })
      .optional(),
  }),
  locale: z.object({
    keymap: text('a keymap').optional(),
    timezone: text('such as "Europe/Berlin"').optional(),
  }),
};
type Sections = { [Name in keyof typeof sections]: z.output<(typeof sections)[Name]> };
/** Of Raspberry Pi OS; surfaced has no use for them. */
const foreignSections: Readonly<Record<string, string>> = {
  connect: 'Raspberry Pi Connect is not on this image',
  interfaces: 'the image has I2C and SPI on; docs/first-boot.md says how to load overlays',
};

/**
 * Reads the file.
 * @param name of the file, for messages
 * @throws SurfacedError E_PRESEED when it is no TOML at all
 */
export function readPreseed(toml: string, name: string): { preseed: Preseed; notes: readonly Note[] } {
  const notes: Note[] = [];
  const note = (kind: Note['kind'], path: readonly string[], message: string, remedy: string | null) => {
    const line = lineOf(toml, path);
    notes.push({
      kind,
      text: `${name}${line === null ? '' : `:${line}`} ${path.map(shown).join('.')}: ${message}`,
      remedy,
    });
  };
  const table = parsedToml(toml, name);
  const section = <Name extends keyof Sections>(key: Name): Sections[Name] | null => {
    const value = Object.hasOwn(table, key) ? table[key] : undefined;
    if (value === undefined) return null;
    const result = sections[key].safeParse(value);
    if (typeof value === 'object' && value !== null)
      for (const unknown of Object.keys(value).filter((one) => !Object.hasOwn(sections[key].shape, one)))
        note('warning', [key, unknown], 'unknown, and passed over', null);
    if (result.success) return result.data as Sections[Name];
    for (const { path, code, message } of result.error.issues.slice(0, 10)) {
      const isSection = path.length === 0 && code === 'invalid_type';
      note(
        'refused',
        [key, ...path.slice(0, 1).map(String)],
        isSection ? 'expected a section' : message,
        again,
      );
    }
    return null;
  };

  for (const key of Object.keys(table)) {
    const why = Object.hasOwn(foreignSections, key) ? foreignSections[key] : null;
    if (why) note('warning', [key], `is not used: ${why}`, null);
    else if (key !== 'config_version' && !Object.hasOwn(sections, key))
      note('warning', [key], 'unknown, and passed over', null);
  }
  const version = table.config_version;
  if (version !== undefined && !/^1(?:\.\d+)?$/.test(String(version)))
    note('warning', ['config_version'], 'is not 1.0: read as far as it is known', null);

  const user = section('user');
  if (user !== null)
    note(
      'warning',
      ['user'],
      'is not used: the user of this system is `maker`, who has no password and comes in with an SSH key',
      null,
    );
  const locale = section('locale');
  if (locale?.keymap !== undefined)
    note('warning', ['locale', 'keymap'], 'is not used: nobody logs in at a keyboard here', null);

  return {
    preseed: {
      hostname: section('system')?.hostname ?? null,
      network: wlan(section('wlan'), note),
      ssh: ssh(section('ssh'), note),
      timezone: zone(locale?.timezone ?? null, note),
    },
    notes,
  };
}

const again = 'Correct it and start again.';
type Tell = (kind: Note['kind'], path: readonly string[], message: string, remedy: string | null) => void;

function wlan(section: Sections['wlan'] | null, note: Tell): WifiNetwork | null {
  if (section === null) return null;
  const read = networkOf({
    ssid: section.ssid ?? null,
    ssidHex: section.ssid_hex ?? null,
    password: section.password ?? null,
    isKey: section.password_encrypted ?? null,
    isHidden: section.hidden ?? false,
    country: section.country?.toUpperCase() ?? null,
    keyManagement: section.key_mgmt ?? null,
  });
  if (read.network === null) {
    note('refused', ['wlan', ...(read.field === null ? [] : [read.field])], read.problem, again);
    return null;
  }
  if (read.network.isKeyOnly)
    note(
      'warning',
      ['wlan', 'password'],
      'is the WPA2 key of the network only: where the network speaks WPA3 as well, the surface does not get in',
      'If it stays away from the network, write the password itself, with password_encrypted = false.',
    );
  if (section.country === undefined)
    note(
      'warning',
      ['wlan', 'country'],
      'is missing: only channels that are allowed everywhere are used',
      null,
    );
  return read.network;
}

function ssh(section: Sections['ssh'] | null, note: Tell): Preseed['ssh'] {
  if (section === null) return null;
  const isEnabled = section.enabled ?? section.authorized_keys !== undefined;
  if (section.password_authentication === true)
    note('warning', ['ssh', 'password_authentication'], 'is refused: SSH takes keys only', null);
  const { keys, problems } = readKeys(section.authorized_keys ?? []);
  for (const problem of problems) note('warning', ['ssh', 'authorized_keys'], problem, again);
  if (!isEnabled || keys.length > 0) return { isEnabled, keys };
  note(
    'refused',
    ['ssh'],
    'SSH stays as it was: without a key nobody could come in',
    'Give a public key in authorized_keys (Raspberry Pi Imager: "Allow public-key authentication only").',
  );
  return null;
}

function zone(name: string | null, note: Tell): string | null {
  if (name === null) return null;
  try {
    // Names only: it becomes a path.
    if (/^[A-Za-z]\w*(?:[/+-]\w+)*$/.test(name)) {
      new Intl.DateTimeFormat('en', { timeZone: name });
      return name;
    }
  } catch {
    // Told below.
  }
  note('refused', ['locale', 'timezone'], 'expected a time zone such as "Europe/Berlin"', again);
  return null;
}

function parsedToml(toml: string, name: string): Record<string, unknown> {
  try {
    return parse(toml);
  } catch (problem) {
    if (problem instanceof RangeError) throw new SurfacedError('E_PRESEED', `${name}: nested too deep`);
    if (!(problem instanceof TomlError)) throw problem;
    // Neither its message nor the error itself: they quote the line, and with it passwords.
    throw new SurfacedError(
      'E_PRESEED',
      `${name}:${problem.line}:${problem.column} is not TOML: look for a missing quote, bracket or equal sign`,
    );
  }
}

/** Line of a key, or of the section; null where it is not written as Imager does. */
function lineOf(toml: string, [section = '', key]: readonly string[]): number | null {
  let current = '';
  let found: number | null = null;
  for (const [index, line] of toml.split('\n').entries()) {
    const header = /^\s*\[\s*"?([^\]"]*?)"?\s*\]/.exec(line)?.[1];
    if (header !== undefined) current = header;
    const name = /^\s*"?([\w-]+)"?\s*=/.exec(line)?.[1];
    const isSection = header === section || (current === '' && name === section);
    if (found === null && isSection) found = index + 1;
    if (key !== undefined && current === section && name === key) return index + 1;
  }
  return found;
}

/** A name from the file as a message shows it. */
const shown = (name: string): string => (/^[\w-]{1,40}$/.test(name) ? name : '(a name that is not shown)');
