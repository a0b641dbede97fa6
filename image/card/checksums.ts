/** Sums of the files of a release, and the signature over them: whoever has the update certificate can check a download. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Tools } from './fat.ts';
import type { ReleaseFile } from './imager.ts';

/** Name, size and SHA-256 of a file. */
export async function releaseFile(file: string): Promise<ReleaseFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(
    createReadStream(file, { highWaterMark: 2 ** 20 }),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
      }
    },
  );
  return { name: path.basename(file), bytes, sha256: hash.digest('hex') };
}

/** Lines of `sha256sum --check`, sorted by name. */
export function sumsText(files: readonly ReleaseFile[]): string {
  return files
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, sha256 }) => `${sha256}  ${name}\n`)
    .join('');
}

/**
 * Writes `SHA256SUMS` over these files and `SHA256SUMS.p7s`, a detached CMS signature (RFC 5652, DER) with the key that
 * signs updates: one certificate to know, and any OpenSSL checks it. `key` has paths of PEM files.
 */
export async function writeSums({
  tools,
  folder,
  files,
  key,
}: {
  readonly tools: Tools;
  readonly folder: string;
  readonly files: readonly ReleaseFile[];
  readonly key: { readonly certificate: string; readonly privateKey: string };
}): Promise<void> {
  const sums = path.join(folder, 'SHA256SUMS');
  await writeFile(sums, sumsText(files));
  await tools.run(
    'openssl',
    [
      ...['cms', '-sign', '-binary', '-md', 'sha256', '-outform', 'DER', '-in', sums, '-out', `${sums}.p7s`],
      ...['-signer', key.certificate, '-inkey', key.privateKey],
    ],
    { binds: [folder, path.dirname(key.certificate), path.dirname(key.privateKey)] },
  );
}
