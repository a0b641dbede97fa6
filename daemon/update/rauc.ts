/** RAUC 1.13, by its command: what a bundle is, and its installation. What it says becomes errors that tell what to do. */
import path from 'node:path';
import { z } from 'zod';
import { type ErrorCode, SurfacedError } from '../errors.ts';
import type { Host } from './host.ts';

/** Where a bundle is. */
export interface BundleSource {
  /** Absolute path or https URL. */
  readonly place: string;
  /** File with the CA of the server; null: those of the system. */
  readonly caFile: string | null;
}

/** What RAUC says of a bundle whose signature is good. */
export interface BundleInfo {
  readonly compatible: string;
  readonly version: string;
  readonly manifestSha256: string;
  readonly imageSha256: string;
}

const image = z.object({ checksum: z.string() });
const info = z.object({
  compatible: z.string(),
  version: z.string(),
  hash: z.string(),
  images: z.array(z.record(z.string(), image)),
});

/** Looks at a bundle. @throws SurfacedError E_UPDATE_* */
export async function bundleInfo(host: Host, source: BundleSource, signal: AbortSignal): Promise<BundleInfo> {
  const command = ['rauc', 'info', '--output-format=json', ...tls(source), source.place] as const;
  const { code, stdout, text } = await host.run(command, { onLine: null, signal });
  if (code !== 0) throw raucError(text, source);
  // Messages may stand before it.
  const parsed = info.safeParse(jsonIn(stdout));
  const [first] = parsed.data?.images ?? [];
  if (!parsed.success || first?.rootfs === undefined)
    throw new SurfacedError('E_UPDATE_BUNDLE', `${source.place}: not a bundle with one image for a slot`);
  const { compatible, version, hash } = parsed.data;
  return { compatible, version, manifestSha256: hash, imageSha256: first.rootfs.checksum };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text.slice(Math.max(0, text.indexOf('{'))));
  } catch {
    return null;
  }
}

/**
 * Installs a bundle into the slot that does not run.
 * @param order.transaction UUID by which the handlers know this installation
 * @param order.onProgress told percent and what is done
 * @throws SurfacedError E_UPDATE_*
 */
export async function installBundle(
  host: Host,
  source: BundleSource,
  order: {
    readonly transaction: string;
    readonly onProgress: (percent: number, text: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { transaction, onProgress, signal } = order;
  const command = [
    'rauc',
    'install',
    `--transaction-id=${transaction}`,
    ...tls(source),
    source.place,
  ] as const;
  const onLine = (line: string): void => {
    const [, percent, text] = /^\s*(\d{1,3})% (.+)$/.exec(line) ?? [];
    if (percent !== undefined && text !== undefined) onProgress(Math.min(100, Number(percent)), text);
  };
  const { code, text } = await host.run(command, { onLine, signal });
  if (code !== 0) throw raucError(text, source);
}

const tls = ({ caFile }: BundleSource): readonly string[] => (caFile === null ? [] : [`--tls-ca=${caFile}`]);

/** The first that is found in what RAUC said; the numbers are exit codes of our handler before the installation. */
const meanings: readonly (readonly [sign: RegExp, code: ErrorCode, what: string])[] = [
  [/exited with code 10\b/, 'E_UPDATE_DOWNGRADE', 'older than what runs'],
  [/Version mismatch: /, 'E_UPDATE_DOWNGRADE', 'older than this image lets anybody install'],
  [/exited with code 11\b/, 'E_UPDATE_PENDING', 'an update is on trial or waits for a restart'],
  [/already processing/i, 'E_UPDATE_PENDING', 'another installation is under way'],
  [/exited with code 12\b/, 'E_UPDATE_BUNDLE', 'became another one while it was installed'],
  [/exited with code 1[34]\b/, 'E_UPDATE_BUNDLE', 'not a bundle of surfaced'],
  [/Compatible mismatch: /, 'E_UPDATE_COMPATIBLE', 'for another kind of device'],
  [/bundle payload is corrupted|Input\/output error|verity/i, 'E_UPDATE_DATA', 'its data is damaged'],
  [/No space left|too small for image/, 'E_UPDATE_SPACE', 'does not fit'],
  [/^No such file: /m, 'E_UPDATE_SOURCE', 'there is no such file'],
  [
    /Failed to contact rauc service|creating proxy|service disappeared/,
    'E_UPDATE_SYSTEM',
    'RAUC does not answer',
  ],
  [/SSL|certificate problem|CAfile|CURLE|HTTP (?:error )?code/, 'E_UPDATE_SOURCE', 'cannot be fetched'],
  [
    /resolve host|not responding|onnection|timed out|range requests|incomplete HTTP/,
    'E_UPDATE_SOURCE',
    'cannot be fetched',
  ],
  [
    /signature verification failed|Verify error|self-signed|signer|keyring/i,
    'E_UPDATE_SIGNER',
    'signed by nobody who is trusted',
  ],
  [
    /Signature size|Payload size|Bundle size|not allowed|squashfs|manifest|offset out of range/i,
    'E_UPDATE_BUNDLE',
    'not a bundle, or a broken one',
  ],
];

/** The error that RAUC's words stand for. */
export function raucError(said: string, { place }: Pick<BundleSource, 'place'>): SurfacedError {
  const lines = problemsIn(said);
  const told = lines.join('\n');
  const [, code, what] = meanings.find(([sign]) => sign.test(told)) ?? [
    null,
    'E_UPDATE_SYSTEM' as const,
    'RAUC failed',
  ];
  return new SurfacedError(code, `${place}: ${what} (${lastOf(lines)})`);
}

/** What it said went wrong: without its log, which names everything that it does, and without progress. */
const problemsIn = (said: string): readonly string[] =>
  said
    .split('\n')
    .map((line) => line.replace(/^LastError: /, '').trim())
    .filter(
      (line) =>
        !/^$|^rauc[\w-]*-Message: |^\d{1,3}% |^Installing .* failed$|^(?:idle|installing)$/.test(line),
    );

const lastOf = (lines: readonly string[]): string => (lines.at(-1) ?? 'it said nothing').slice(0, 300);

/** Whether a place is one of the network. */
export const isUrl = (place: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(place);

/** Absolute, for RAUC's service has a working folder of its own. */
export const placeOf = (text: string): string => (isUrl(text) ? text : path.resolve(text));

/** A slot as RAUC has kept it. */
export interface SlotStatus {
  readonly name: string;
  /** Of what an update has written there last; null: none has. */
  readonly version: string | null;
  /** As RAUC writes it; the clock may have been wrong. */
  readonly installedAt: string | null;
  /** False while it is written, and after a cut. */
  readonly isWhole: boolean;
}

const slotInfo = z.object({
  bootname: z.string(),
  slot_status: z
    .object({
      status: z.string().optional(),
      bundle: z.object({ version: z.string().nullable().optional() }).optional(),
      installed: z.object({ timestamp: z.string().nullable().optional() }).optional(),
    })
    .optional(),
});
const status = z.object({ slots: z.array(z.record(z.string(), slotInfo)) });

/** What RAUC has kept of the slots. @throws SurfacedError E_UPDATE_SYSTEM */
export async function slotStatus(host: Host, signal: AbortSignal): Promise<readonly SlotStatus[]> {
  const command = ['rauc', 'status', '--detailed', '--output-format=json'] as const;
  const { code, stdout, text } = await host.run(command, { onLine: null, signal });
  const parsed = status.safeParse(jsonIn(stdout));
  if (code !== 0 || !parsed.success)
    throw new SurfacedError(
      'E_UPDATE_SYSTEM',
      `RAUC tells nothing of the slots (${lastOf(problemsIn(text))})`,
    );
  return parsed.data.slots
    .flatMap((one) => Object.values(one))
    .map(({ bootname, slot_status: kept }) => ({
      name: bootname,
      version: kept?.bundle?.version ?? null,
      installedAt: kept?.installed?.timestamp ?? null,
      isWhole: kept?.status === undefined || kept.status === 'ok',
    }))
    .sort((one, other) => one.name.localeCompare(other.name));
}
