/** What somebody may do: asked of Kubernetes, and remembered for half a minute, so that rights that are withdrawn end soon. */
import type { Clock } from '../clock.ts';
import type { PageAccess, PageUser, Right } from './sources.ts';

/** How long an answer counts, milliseconds. */
export const rememberedMs = 30_000;
const mostRemembered = 4096;

/** What each right is in Kubernetes, for people. */
export const rightWords: Readonly<Record<Right, string>> = {
  look: 'get controlsurfaces.surfaced.dev',
  approve: 'update surfacerequests.surfaced.dev',
  revoke: 'update controlsurfaces.surfaced.dev',
};

/** Answers with a memory. */
export class Rights {
  readonly #access: PageAccess;
  readonly #clock: Clock;
  readonly #answers = new Map<string, { readonly answer: Promise<boolean>; readonly at: number }>();

  constructor(access: PageAccess, clock: Clock) {
    this.#access = access;
    this.#clock = clock;
  }

  /** @throws SurfacedError E_PAGES_ASK when nobody answers; that is not remembered */
  async isAllowed(user: PageUser, right: Right, surface = ''): Promise<boolean> {
    const key = keyOf(user, right, surface);
    const now = this.#clock.monotonic();
    const known = this.#answers.get(key);
    if (known !== undefined && now - known.at < rememberedMs) return known.answer;
    return this.askNow(user, right, surface);
  }

  /** The same whatever is remembered: for what is done, not only shown. @throws SurfacedError E_PAGES_ASK */
  async askNow(user: PageUser, right: Right, surface = ''): Promise<boolean> {
    const key = keyOf(user, right, surface);
    const now = this.#clock.monotonic();
    const answer = this.#access.isAllowed(user, right, surface);
    this.#answers.delete(key);
    this.#answers.set(key, { answer, at: now });
    if (this.#answers.size > mostRemembered) this.#answers.delete(this.#answers.keys().next().value ?? '');
    try {
      return await answer;
    } catch (error) {
      if (this.#answers.get(key)?.answer === answer) this.#answers.delete(key);
      throw error;
    }
  }
}

const keyOf = (user: PageUser, right: Right, surface: string): string =>
  JSON.stringify([right, surface, user]);
