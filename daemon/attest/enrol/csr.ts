/** Certificate requests (PKCS #10, RFC 2986) as surfaces send them. */
import { SurfacedError } from '../../errors.ts';
import * as x509 from '../authority/x509.ts';

/**
 * The key of a request whose signature shows that the sender holds its private part; the rest of it is not looked at.
 * @throws SurfacedError E_ENROL_CSR
 */
export async function readCsr(pem: string): Promise<x509.PublicKey> {
  try {
    const csr = new x509.Pkcs10CertificateRequest(pem);
    const algorithm = csr.publicKey.algorithm as { readonly name: string; readonly namedCurve?: string };
    if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256')
      throw new Error('the key must be on P-256');
    if (!(await csr.verify())) throw new Error('its signature does not fit its key');
    return csr.publicKey;
  } catch (cause) {
    throw new SurfacedError('E_ENROL_CSR', `csr: ${(cause as Error).message}`.slice(0, 200), { cause });
  }
}
