/**
 * Questions that the API server answers without keeping them: whose token this is, and what somebody may do. Asked with the
 * gateway's own rights (`create` on tokenreviews and subjectaccessreviews, deploy/components/pages).
 */
import type { KubeAccess } from './access.ts';
import { fields, list, text } from './read.ts';

/** Somebody, as the API server knows them (kubernetes/api, authentication/v1, UserInfo). */
export interface KubeUser {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** What is asked about (kubernetes/api, authorization/v1, ResourceAttributes); empty: of all. */
export interface ResourceQuestion {
  readonly namespace: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly verb: string;
}

/** An answer, with the words of the authorizer, which may be none. */
export interface Allowance {
  readonly isAllowed: boolean;
  readonly reason: string;
}

const mostGroups = 500;
const mostCharacters = 1024;

/**
 * Whose token this is; null: nobody's, or not for this audience.
 * @param audience that it must have been made for; null: the API server's own
 * @throws KubeError
 */
export async function reviewToken(
  access: KubeAccess,
  { token, audience }: { readonly token: string; readonly audience: string | null },
  signal: AbortSignal,
): Promise<KubeUser | null> {
  const answer = await access.write(
    {
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, ...(audience !== null && { audiences: [audience] }) },
      },
    },
    signal,
  );
  const status = fields(fields(answer).status);
  if (status.authenticated !== true) return null;
  // An authenticator that knows nothing of audiences answers without them (authentication/v1, TokenReviewStatus).
  if (audience !== null && !list(status.audiences).includes(audience)) return null;
  const user = fields(status.user);
  const name = whole(user.username);
  if (name === '') return null;
  return {
    name,
    uid: whole(user.uid),
    groups: list(user.groups)
      .slice(0, mostGroups)
      .map(whole)
      .filter((group) => group !== ''),
    extra: Object.fromEntries(
      Object.entries(fields(user.extra)).map(([key, values]) => [key, list(values).map(whole)]),
    ),
  };
}

/** A text that is asked about later on; empty when it is too long: cut it could be another one's. */
function whole(value: unknown): string {
  const least = text(value, mostCharacters + 1);
  return least.length > mostCharacters ? '' : least;
}

/** Whether somebody may do something. @throws KubeError; an error is never "allowed" */
export async function reviewAccess(
  access: KubeAccess,
  user: KubeUser,
  question: ResourceQuestion,
  signal: AbortSignal,
): Promise<Allowance> {
  const { name, uid, groups, extra } = user;
  const answer = await access.write(
    {
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: name,
          ...(uid !== '' && { uid }),
          groups,
          ...(Object.keys(extra).length > 0 && { extra }),
          resourceAttributes: Object.fromEntries(
            Object.entries(question).filter(([, value]) => value !== ''),
          ),
        },
      },
    },
    signal,
  );
  const status = fields(fields(answer).status);
  return {
    isAllowed: status.allowed === true && status.denied !== true,
    reason: text(status.reason, 300) || text(status.evaluationError, 300),
  };
}
