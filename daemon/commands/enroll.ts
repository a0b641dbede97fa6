/** `surfaced enroll token` and `surfaced enroll config`: what a surface needs to fetch its first certificate. */
import { isIP } from 'node:net';
import path from 'node:path';
import { stringify } from 'yaml';
import { loadAuthority } from '../attest/authority/ca.ts';
import { openTokens } from '../attest/enrol/tokens.ts';
import { type Clock, systemClock } from '../clock.ts';
import { loadConfig, parseConfig } from '../config/load.ts';
import type { PanelConfig } from '../config/panel.ts';
import { apiVersion, type GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { splitListen } from '../health.ts';
import type { Output } from './cli.ts';
import { readRegistry } from './read-registry.ts';

export interface EnrollOptions {
  readonly gatewayConfigPath: string;
  /** Surface that the token is for; it need not be in the registry yet. */
  readonly surface: string;
  /** Life of the token: a number and `m`, `h` or `d`. */
  readonly ttl: string;
  /** How often it can be used; a surface needs it anew after each start. */
  readonly uses: number;
  /** Address under which the surface reaches the gateway; null: from `enrol.hosts` and `enrol.listen`. */
  readonly url: string | null;
  readonly output: Output;
}

export interface EnrollConfigOptions extends EnrollOptions {
  /** The panel of the Device file, as short as it can be. */
  readonly panel: Pick<PanelConfig, 'preset'> & { readonly port?: Readonly<Record<string, string>> };
}

interface Enrolment {
  readonly token: string;
  readonly expiresAt: string;
  readonly uses: number;
  readonly surface: string;
  readonly url: string;
  readonly caPin: string;
  /** What keeps the token from being of use right now. */
  readonly warnings: readonly string[];
}

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const longestTtlMs = 30 * 86_400_000;

/** Milliseconds of `90m`, `1h`, `7d`; thirty days at most. @throws SurfacedError E_USAGE */
export function parseTtl(text: string): number {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const milliseconds = Number(count) * (unitMs[unit ?? ''] ?? Number.NaN);
  if (milliseconds > 0 && milliseconds <= longestTtlMs) return milliseconds;
  throw new SurfacedError(
    'E_USAGE',
    `ttl: expected a time such as 30m, 1h or 7d, at most 30d, got "${text}"`,
  );
}

/** Makes a token and prints it with the pin and the part of `surfaced.yaml` that it belongs in. @throws SurfacedError */
export async function enrollToken(options: EnrollOptions): Promise<string> {
  const made = await makeToken(options, systemClock);
  if (options.output === 'json') return `${JSON.stringify(made, null, 2)}\n`;
  const { token, expiresAt, uses, surface, url, caPin, warnings } = made;
  const count = uses === 1 ? 'once' : `${uses} times`;
  return `Token for ${surface}, to be used ${count} before ${expiresAt}:

  ${token}

Gateway:  ${url}
CA pin:   ${caPin}

For surfaced.yaml on the surface:

${stringify({ gateway: { url, caPin }, identity: { token } })}${warnings.map((text) => `\nwarning: ${text}\n`).join('')}`;
}

/** Makes a token and prints a whole Device file with it. @throws SurfacedError */
export async function enrollConfig(options: EnrollConfigOptions): Promise<string> {
  const { panel, output } = options;
  const draft = { apiVersion, kind: 'Device', panel };
  // A panel that does not fit must not cost a token.
  parseConfig('Device', JSON.stringify(draft), 'panel');
  const made = await makeToken(options, systemClock);
  const { url, caPin, token } = made;
  const config = { apiVersion, kind: 'Device', gateway: { url, caPin }, identity: { token }, panel };
  if (output === 'json') return `${JSON.stringify(config, null, 2)}\n`;
  const notes = [
    `surfaced.yaml of ${made.surface}. The token is a secret until it has been used; it ends ${made.expiresAt}.`,
    ...made.warnings.map((text) => `Warning: ${text}`),
  ];
  return `${notes.map((note) => `# ${note}\n`).join('')}${stringify(config, { lineWidth: 0 })}`;
}

/**
 * Prints a whole Device file for a surface with a TPM. Nothing in it is secret: the gateway lets the surface in when an
 * operator approves its TPM.
 * @throws SurfacedError
 */
export async function enrollTpmConfig(
  options: Pick<EnrollConfigOptions, 'gatewayConfigPath' | 'url' | 'panel' | 'output'>,
): Promise<string> {
  const { gatewayConfigPath, panel, output } = options;
  parseConfig('Device', JSON.stringify({ apiVersion, kind: 'Device', panel }), 'panel');
  checkUrl(options.url);
  const gateway = await loadConfig('Gateway', gatewayConfigPath);
  const url = options.url ?? gatewayUrl(gateway);
  const { stateDir, site, shards } = gateway;
  const shared = shards?.ca ?? null;
  const { pin: caPin } = await loadAuthority({ stateDir, shared, site, clock: systemClock });
  const config = { apiVersion, kind: 'Device', gateway: { url, caPin }, identity: { tpm: {} }, panel };
  if (output === 'json') return `${JSON.stringify(config, null, 2)}\n`;
  const notes = [
    'surfaced.yaml of a surface with a TPM; it holds no secret.',
    ...addressWarnings(gateway, url).map((text) => `Warning: ${text}`),
  ];
  return `${notes.map((note) => `# ${note}\n`).join('')}${stringify(config, { lineWidth: 0 })}`;
}

async function makeToken(options: EnrollOptions, clock: Clock): Promise<Enrolment> {
  const { gatewayConfigPath, surface, uses } = options;
  const ttlMs = parseTtl(options.ttl);
  if (!Number.isInteger(uses) || uses < 1 || uses > 1000)
    throw new SurfacedError('E_USAGE', `uses: expected a number from 1 to 1000, got ${uses}`);
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(surface))
    throw new SurfacedError('E_USAGE', `surface: expected a name of a-z, 0-9 and dashes, got "${surface}"`);
  checkUrl(options.url);
  const config = await loadConfig('Gateway', gatewayConfigPath);
  const url = options.url ?? gatewayUrl(config);
  const warnings = await warningsFor(config, surface, url);
  const { stateDir, site, shards } = config;
  const authority = await loadAuthority({ stateDir, shared: shards?.ca ?? null, site, clock });
  const tokens = openTokens({ folder: path.join(stateDir, 'tokens'), clock });
  const { token, expiresAt } = await tokens.create({ surface, ttlMs, uses });
  const end = new Date(expiresAt).toISOString();
  return { token, expiresAt: end, uses, surface, url, caPin: authority.pin, warnings };
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');

/** @throws SurfacedError E_USAGE */
function checkUrl(given: string | null): void {
  if (given === null || (URL.canParse(given) && new URL(given).protocol === 'https:')) return;
  throw new SurfacedError('E_USAGE', `url: expected an address that begins with https://, got "${given}"`);
}

/** How a surface reaches the gateway: by its first name that means something on another machine. */
function gatewayUrl(config: GatewayConfig): string {
  const { hosts, listen } = config.enrol;
  const host = hosts.find((name) => !isLoopback(name)) ?? hosts[0] ?? 'localhost';
  const { port } = splitListen(listen);
  if (port === 0)
    throw new SurfacedError(
      'E_USAGE',
      'enrol.listen has port 0: say with --url how surfaces reach the gateway',
    );
  return `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

async function warningsFor(config: GatewayConfig, surface: string, url: string): Promise<string[]> {
  const warnings: string[] = [];
  if (config.policy.identity !== 'token')
    warnings.push('the gateway refuses tokens until its file says `policy: { identity: token }`');
  const { surfaces, place } = await readRegistry(config);
  const known = surfaces.find(({ metadata }) => metadata.name === surface);
  if (!known) warnings.push(`there is no surface "${surface}" in ${place} yet`);
  else if (known.spec.isRevoked) warnings.push(`surface "${surface}" is revoked`);
  return [...warnings, ...addressWarnings(config, url)];
}

function addressWarnings({ enrol }: GatewayConfig, url: string): string[] {
  const warnings: string[] = [];
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  if (isLoopback(host)) warnings.push(`${url} leads nowhere from another machine: set enrol.hosts`);
  if (!enrol.hosts.includes(host)) warnings.push(`"${host}" is not in enrol.hosts: surfaces will refuse it`);
  return warnings;
}
