/**
 * Who may talk to the panel's server: pages of its own on this machine, nothing else. The panel has no log-in,
 * so a page of some web site open in the same browser must not reach it.
 */

/**
 * Names that mean this machine. Any other name in the Host header is a foreign name that was made to resolve
 * to 127.0.0.1 (DNS rebinding). The port may differ: a forwarded port is still this machine.
 */
const ownHost = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/** Tells whether a Host header names this machine. */
export function isOwnHost(host: string | undefined): boolean {
  return host !== undefined && ownHost.test(host);
}

/**
 * Tells whether a WebSocket comes from a page that this server served. Browsers always send Origin with a
 * WebSocket (RFC 6455, section 10.2) and do not hold it to the same-origin policy, so the server must look.
 */
export function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  return isOwnHost(host) && origin?.toLowerCase() === `http://${host?.toLowerCase()}`;
}

/** Sent with every answer: the page runs its own script and style and nothing else, in nobody's frame. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};
