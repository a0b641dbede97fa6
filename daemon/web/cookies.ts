/** Cookies of requests. */
import type { FastifyRequest } from 'fastify';

/** Value of a cookie of a request; empty: there is none. */
export function readCookie(request: FastifyRequest, name: string): string {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [key, value = ''] = part.trim().split('=', 2);
    if (key === name) return value.slice(0, 128);
  }
  return '';
}
