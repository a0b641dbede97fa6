/** The Status objects that the API server answers with when it refuses (recordings 03, 04, 10, 12, 13). */
import type { Resource } from './resources.ts';

/** One entry of Status.details.causes. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

/** A refusal, thrown by whatever handles a request and written by the HTTP layer. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds: number | null;

  constructor(
    code: number,
    reason: string,
    message: string,
    options: {
      details: Readonly<Record<string, unknown>> | null;
      metadata?: Readonly<Record<string, unknown>>;
      retryAfterSeconds?: number;
    },
  ) {
    super(message);
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: options.metadata ?? {},
      status: 'Failure',
      message,
      reason,
      ...(options.details === null ? {} : { details: options.details }),
      code,
    };
  }
}

/** `deployments.apps`, or `pods` in the core group. */
export function qualifiedName(resource: Resource): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

function detailsOf(resource: Resource, name: string): Record<string, unknown> {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.plural,
  };
}

/** 404 for an object that is not there. */
export function notFound(resource: Resource, name: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" not found`;
  return new StatusError(404, 'NotFound', message, { details: detailsOf(resource, name) });
}

/** 404 for a kind, version or subresource that does not exist. */
export function unknownResource(): StatusError {
  const message = 'the server could not find the requested resource';
  return new StatusError(404, 'NotFound', message, { details: {} });
}

/** 405 for a verb that a resource does not have. */
export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource';
  return new StatusError(405, 'MethodNotAllowed', message, { details: {} });
}

/** 409 for a write based on an older version. */
export function conflict(resource: Resource, name: string, why: string | null): StatusError {
  const reason =
    why ?? 'the object has been modified; please apply your changes to the latest version and try again';
  const message = `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": ${reason}`;
  return new StatusError(409, 'Conflict', message, { details: detailsOf(resource, name) });
}

/** 409 for a name that is taken. */
export function alreadyExists(resource: Resource, name: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" already exists`;
  return new StatusError(409, 'AlreadyExists', message, { details: detailsOf(resource, name) });
}

/** 400 with the given words. */
export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message, { details: null });
}

/** 422 with one cause per field. */
export function invalid(
  kind: string,
  group: string,
  name: string,
  causes: readonly { readonly field: string; readonly message: string }[],
): StatusError {
  const list = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const joined = list.length === 1 ? list[0]! : `[${list.join(', ')}]`;
  const qualified = group === '' ? kind : `${kind}.${group}`;
  return new StatusError(422, 'Invalid', `${qualified} "${name}" is invalid: ${joined}`, {
    details: {
      name,
      ...(group === '' ? {} : { group }),
      kind,
      causes: causes.map((cause): Cause => ({ reason: causeReason(cause.message), ...cause })),
    },
  });
}

function causeReason(message: string): string {
  if (message.startsWith('Required value')) return 'FieldValueRequired';
  if (message.startsWith('Unsupported value')) return 'FieldValueNotSupported';
  if (message.startsWith('Forbidden')) return 'FieldValueForbidden';
  return 'FieldValueInvalid';
}

/** 422 for a patch whose result does not fit the Go type; it names no object (recording 03). */
export function unfitPatch(result: unknown, complaint: string): StatusError {
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(result))}: ${complaint}`;
  return new StatusError(422, 'Invalid', ` "" is invalid: patch: ${message}`, {
    details: { causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }] },
  });
}

/** 403 when admission refuses, for example a quota. */
export function refused(resource: Resource, name: string, why: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" is forbidden: ${why}`;
  return new StatusError(403, 'Forbidden', message, { details: detailsOf(resource, name) });
}
