/** A certificate of the operator's own for the pages, read again now and then: whoever renews it only replaces the files. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { ServerCertificate } from '../attest/authority/ca.ts';
import type { KeptCertificate } from '../attest/authority/server-certificate.ts';
import { readBounded } from '../config/read-bounded.ts';
import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';

const mostBytes = 1 << 18;
const lookEveryMs = 60_000;

async function read(files: {
  readonly certificate: string;
  readonly key: string;
}): Promise<ServerCertificate> {
  try {
    const certificatePem = (await readBounded(files.certificate, mostBytes)).toString('latin1');
    const privateKeyPem = (await readBounded(files.key, mostBytes)).toString('latin1');
    const certificate = new X509Certificate(certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(privateKeyPem)))
      throw new Error('the key is that of another certificate');
    return { certificatePem, privateKeyPem, notAfter: Date.parse(certificate.validTo) };
  } catch (cause) {
    throw new SurfacedError(
      'E_PAGES_CERTIFICATE',
      `${files.certificate} and ${files.key}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** Reads the files. @throws SurfacedError E_PAGES_CERTIFICATE */
export async function certificateFiles(options: {
  readonly certificate: string;
  readonly key: string;
  readonly log: Log;
}): Promise<KeptCertificate> {
  const { log } = options;
  const first = await read(options);
  return {
    first,
    keep: (onRenewed) => {
      let current = first;
      const look = async (): Promise<void> => {
        const next = await read(options);
        if (next.certificatePem === current.certificatePem) return;
        current = next;
        onRenewed(current);
        log.info({ notAfter: new Date(next.notAfter).toISOString() }, 'certificate of the pages was renewed');
      };
      const timer = setInterval(() => {
        // While one file is new and the other old they do not fit: the next look finds both.
        look().catch((error: unknown) =>
          log.warn({ err: error }, 'certificate of the pages cannot be read anew'),
        );
      }, lookEveryMs);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
}
