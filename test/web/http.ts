/** The pages by plain HTTPS, without a browser's manners. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Site } from './rig.ts';

/** What is sent. */
export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}
/** What comes back. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Opens a request and gives its answer before its body has come. */
export function open({ url }: Site, path: string, sent: Sent = {}): Promise<IncomingMessage> {
  const { port, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const asking = request({
      ...{
        host: '127.0.0.1',
        port,
        path,
        method: sent.method ?? 'GET',
        rejectUnauthorized: false,
        agent: false,
      },
      headers: { host, accept: 'text/html', ...sent.headers },
    });
    asking.once('response', resolve);
    asking.once('error', reject);
    asking.end(sent.body);
  });
}

/** Asks, and reads the answer. */
export async function ask(place: Site, path: string, sent: Sent = {}): Promise<Reply> {
  const answer = await open(place, path, sent);
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode ?? 0, headers: answer.headers, text };
}

/** A form as a browser sends it from one of our pages. */
export const form = (place: Site, fields: Readonly<Record<string, string>>, more: Sent = {}): Sent => ({
  method: 'POST',
  body: new URLSearchParams(fields).toString(),
  ...more,
  headers: {
    'content-type': 'application/x-www-form-urlencoded',
    origin: place.url,
    'sec-fetch-site': 'same-origin',
    ...more.headers,
  },
});

/** Logs in; the cookie, and the secret of its forms. */
export async function logIn(place: Site, token: string): Promise<{ cookie: string; formToken: string }> {
  const { headers } = await ask(place, '/login', form(place, { token }));
  const cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  const { text } = await ask(place, '/approvals', { headers: { cookie } });
  return { cookie, formToken: /name="form" value="([^"]+)"/.exec(text)?.[1] ?? '' };
}
