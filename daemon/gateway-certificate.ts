/**
 * Whether a TLS server is the gateway that a CA vouches for. No clock is asked, because a Pi has none to rely on: without a
 * battery it wakes up in the past, and one with a bad battery anywhere, also behind the end of every certificate.
 *
 * That is safe, because time is not what tells the gateway from others: the CA is pinned by its key, the gateway's own keys
 * exist in its memory only, and TLS 1.3 proves that the other end holds the key of the certificate (RFC 8446, 4.4.3). What
 * is given up is that the key of an old server certificate, stolen out of that memory, ends to be of use by itself. Who has
 * it can show a surface false numbers; it can neither sign certificates nor act in the cluster.
 */
import type { X509Certificate } from 'node:crypto';
import { checkServerIdentity } from 'node:tls';

const serverAuth = '1.3.6.1.5.5.7.3.1';

/**
 * Why a server is not the one at `host` that the CA vouches for, null when it is. OpenSSL is not asked: it judges by the
 * machine's clock, and of several things that are wrong with a chain it tells the last only.
 * @param leaf what the server showed; TLS has made sure that it holds the key
 * @param host name or address that was connected to
 */
export function serverProblem(
  leaf: X509Certificate,
  authority: X509Certificate,
  host: string,
): string | null {
  if (!authority.ca) return 'the pinned certificate is not that of a CA';
  if (!leaf.checkIssued(authority) || !leaf.verify(authority.publicKey))
    return 'its certificate is not signed by the pinned CA';
  if (leaf.ca || !(leaf.keyUsage ?? []).includes(serverAuth)) return 'its certificate is not one for servers';
  return checkServerIdentity(host, leaf.toLegacyObject())?.message ?? null;
}
