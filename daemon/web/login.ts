/** Logging in and out: a Kubernetes token, or a provider (oidc.ts); either way Kubernetes says who may look. */
import type { Clock } from '../clock.ts';
import { type Html, html } from './html.ts';
import { rightWords } from './rights.ts';

/** Longest token that is taken, characters. */
export const mostTokenCharacters = 16_384;

/** What the log-in page offers. */
export interface LoginWays {
  /** Audience of tokens; undefined: tokens are not taken. */
  readonly tokens: { readonly audience?: string | undefined } | undefined;
  /** Host of the provider; null: none. */
  readonly provider: string | null;
}

/** The form of the log-in page. @param refusal why the last attempt led nowhere; null: there was none */
export function loginForm({ tokens, provider }: LoginWays, refusal: string | null): Html {
  const audience = tokens?.audience;
  const command = `kubectl create token NAME${audience ? ` --audience ${audience}` : ''}`;
  return html`
${refusal !== null && html`<p class="notice refused" role="alert" id="refusal">${refusal}</p>`}
<div class="login">
${provider !== null && html`<section><h2>By your provider</h2><p><a class="button" href="/login/oidc">Log in at ${provider}</a></p></section>`}
${
  tokens &&
  html`<section><h2>By a Kubernetes token</h2>
<form method="post" action="/login">
<label for="token">Token</label>
<textarea id="token" name="token" rows="5" maxlength="${mostTokenCharacters}" required spellcheck="false" autocomplete="off" autocapitalize="none" aria-describedby="token-help${refusal !== null && ' refusal'}"></textarea>
<p class="help" id="token-help">Such as <code>${command}</code> prints for a ServiceAccount. The gateway shows it to the API server once, and does not keep it.</p>
<button>Log in</button>
</form></section>`
}
</div>`;
}

/** Why somebody whom Kubernetes knows sees nothing, and what to do about it. */
export function noRightWords(user: string, namespace: string): string {
  return `You are ${user}, and Kubernetes does not let you look: this needs ${rightWords.look} in namespace ${namespace}. Whoever gives rights there can: kubectl -n ${namespace} create role surfaced-viewer --verb=get,list,watch --resource=controlsurfaces.surfaced.dev, and a rolebinding to it. docs/pages.md has the rest.`;
}

/** A token as it was pasted: line breaks of a terminal are no part of it. Null: it cannot be one. */
export function readToken(text: string): string | null {
  const token = text.replace(/\s+/g, '').replace(/^bearer:?/i, '');
  return /^[\x21-\x7e]{1,16384}$/.test(token) ? token : null;
}

/**
 * When a token says that it ends, milliseconds from now; null: it does not say. Not verified: the API server has taken the
 * token as it is, and who made up another end only shortens their own session.
 */
export function tokenLifeMs(token: string, clock: Clock): number | null {
  const [, payload = ''] = token.split('.');
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp?: unknown };
    return typeof exp === 'number' && Number.isFinite(exp) ? Math.max(0, exp * 1000 - clock.now()) : null;
  } catch {
    // Tokens of other kinds than JWT are good, too; they say nothing of their end.
    return null;
  }
}
