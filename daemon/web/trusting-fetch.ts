/** Requests to a provider whose certificate is of the operator's own CA: Node's fetch takes no other roots than its own. */
import type * as OpenidClient from 'openid-client';
import { Agent, fetch } from 'undici';

/** A fetch that trusts these roots alone. */
export function fetchTrusting(ca: string): OpenidClient.CustomFetch {
  const dispatcher = new Agent({ connect: { ca } });
  return async (address, options) => {
    const { body, headers, method, redirect, signal } = options;
    const answer = await fetch(address, {
      ...{ headers, method, redirect, dispatcher },
      body: body instanceof URLSearchParams ? body.toString() : ((body as string | null | undefined) ?? null),
      signal: signal ?? null,
    });
    return answer as unknown as Response;
  };
}
