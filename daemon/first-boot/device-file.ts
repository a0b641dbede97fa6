/** `surfaced.yaml`: checked like every Device file, and its one-time token taken out. */
import { isDeepStrictEqual } from 'node:util';
import { isMap, isScalar, parseDocument, stringify } from 'yaml';
import type { Finding } from '../config/findings.ts';
import { parseConfigs } from '../config/load.ts';
import { type PanelConfig, panelSchema } from '../config/panel.ts';
import type { DeviceConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { panelFindings } from '../hw/panels.ts';
import { tokenPath } from './places.ts';

/** A Device file that may come into force. */
export interface ReadDevice {
  /** What comes into force, and may stay on the boot partition: without a token. */
  readonly text: string;
  /** Null: there was none in it. */
  readonly token: string | null;
  readonly config: DeviceConfig;
}

/** As `surfaced enroll token` prints it. */
const tokens = /[a-z0-9]{6}\.[a-z0-9]{32}/g;

/**
 * Reads a Device file of the boot partition.
 * @param name of the file, for messages
 * @throws SurfacedError E_CFG_INVALID with everything that is wrong, by line and column
 */
export function readDevice(text: string, name: string): ReadDevice {
  const config = parsed(text, name);
  const token = config.identity?.token ?? null;
  const kept = token === null ? text : withoutToken(text, name);
  return { text: `${kept.trimEnd().replaceAll(tokens, '<token>')}\n`, token, config };
}

/** The panel that a Device file names, as far as only the rest of it is wrong; null: that cannot be told. */
export function panelOf(text: string): PanelConfig | null {
  try {
    const value = parseDocument(text, { logLevel: 'silent', uniqueKeys: false }).toJS({ maxAliasCount: 100 });
    const panel = panelSchema.safeParse((value as { panel?: unknown } | null)?.panel);
    return panel.success && panelFindings(panel.data).length === 0 ? panel.data : null;
  } catch {
    // What is wrong with the file is told where it is checked.
    return null;
  }
}

function parsed(text: string, name: string): DeviceConfig {
  const all = parseConfigs('Device', text, name, (config) => [
    ...panelFindings(config.panel).map((one) => ({ ...one, path: ['panel', ...one.path] })),
    ...needed(config),
  ]);
  const [config] = all;
  if (config !== undefined && all.length === 1) return config;
  const got = config === undefined ? 'an empty file' : all.length;
  throw new SurfacedError('E_CFG_INVALID', `${name}:1:1 expected one Device document, got ${got}`);
}

/** What a surface cannot do without, and a Device file for other uses can. */
function needed({ gateway, identity }: DeviceConfig): Finding[] {
  const finding = (path: Finding['path'], message: string): Finding => ({ path, message, isAboutKey: false });
  const missing = Object.entries({ gateway, identity }).flatMap(([field, value]) =>
    value === undefined ? [finding([field], 'expected a map, got nothing: a surface needs it')] : [],
  );
  // The loader has made paths absolute: what was relative is beside the file now, where nothing of the card is.
  const isOurs = identity?.tokenFile === undefined || /^\/(?:run|data)\//.test(identity.tokenFile);
  const elsewhere = 'write the token itself, as `token`: it is taken over and erased here';
  return isOurs ? missing : [...missing, finding(['identity', 'tokenFile'], elsewhere)];
}

/** The text with `tokenFile` in place of `token`, as its writer laid it out; anew where that cannot be. */
function withoutToken(text: string, name: string): string {
  const document = parseDocument(text);
  const value = document.toJS({ maxAliasCount: 100 });
  delete value.identity.token;
  value.identity.tokenFile = tokenPath;
  const identity = document.get('identity', true);
  const pair = isMap(identity) ? identity.items.find((one) => String(one.key) === 'token') : undefined;
  const from = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  const to = isScalar(pair?.value) ? pair.value.range?.[1] : undefined;
  if (from !== undefined && to !== undefined) {
    const edited = `${text.slice(0, from)}tokenFile: ${tokenPath}${text.slice(to)}`;
    if (isSame(edited, value, name)) return edited;
  }
  return stringify(value);
}

/** Whether a text says this value, is a good Device file, and has no token left in it. */
function isSame(text: string, value: unknown, name: string): boolean {
  try {
    parsed(text, name);
    return isDeepStrictEqual(parseDocument(text).toJS(), value);
  } catch {
    // It is written anew then.
    return false;
  }
}
