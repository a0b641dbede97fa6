/**
 * How a surface shows that it holds a one-time token without sending it: an HMAC over the gateway's nonce and
 * the key that it wants a certificate for. The gateway keeps only the derived key.
 */
import { createHash, createHmac, hkdfSync, randomInt, timingSafeEqual } from 'node:crypto';

/** What a token looks like: id and secret. */
const tokenPattern = /^([a-z0-9]{6})\.([a-z0-9]{32})$/;

/** Bytes of a nonce. */
export const nonceBytes = 32;

const keyInfo = 'surfaced/v1 enrolment token';
const proofLabel = 'surfaced/v1 attest token\0';

/** A new token; 32 characters out of 36 are 165 bits. */
export function newToken(): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  const word = (length: number) => Array.from({ length }, () => letters[randomInt(letters.length)]).join('');
  return `${word(6)}.${word(32)}`;
}

/** Id and derived key of a token; null when it is not one. */
export function readToken(token: string): { readonly id: string; readonly key: Buffer } | null {
  const [, id, secret] = tokenPattern.exec(token) ?? [];
  if (!id || !secret) return null;
  // HKDF (RFC 5869) with the id as salt: the same secret under another id gives another key.
  return { id, key: Buffer.from(hkdfSync('sha256', secret, id, keyInfo, 32)) };
}

/** SHA-256 of a SubjectPublicKeyInfo. */
export const keyHash = (subjectPublicKeyInfo: Uint8Array): Buffer =>
  createHash('sha256').update(subjectPublicKeyInfo).digest();

/** HMAC-SHA256(key, label || nonce || SHA-256(SubjectPublicKeyInfo)). */
export const tokenProof = (key: Uint8Array, nonce: Uint8Array, publicKeyHash: Uint8Array): Buffer =>
  createHmac('sha256', key).update(proofLabel).update(nonce).update(publicKeyHash).digest();

/** Compares in a time that does not depend on where the two differ. */
export const isSameProof = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b);
