/** What the replay server can do with a request. */
import type { RecordedExchange } from './recording.ts';

/** One event of a watch and when it is sent, milliseconds since the watch was opened. */
export interface TimedEvent {
  readonly ms: number;
  readonly event: unknown;
}

export type Reply =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: unknown;
    }
  | {
      readonly kind: 'stream';
      readonly events: readonly TimedEvent[];
      /** Milliseconds after which the stream ends cleanly; null: it stays open. */
      readonly closeAfterMs: number | null;
      /** The connection is destroyed after so many events; null: never. */
      readonly cutAfterEvents: number | null;
    }
  /** No answer, connection open. */
  | { readonly kind: 'hang' }
  /** No answer, connection destroyed. */
  | { readonly kind: 'cut' };

/** An answer with a JSON body, or a plain text one for a string. */
export function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return { kind: 'answer', status, headers, body };
}

/** A Status (meta/v1), as the API server sends it with every refusal. */
export function refusal(
  code: number,
  reason: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
  return answer(code, status, headers);
}

/** A watch that sends these events at once; it ends as `change` says, else stays open. */
export function stream(
  events: readonly unknown[],
  change: { readonly closeAfterMs?: number; readonly cutAfterEvents?: number } = {},
): Reply {
  return {
    kind: 'stream',
    events: events.map((event) => ({ ms: 0, event })),
    closeAfterMs: change.closeAfterMs ?? null,
    cutAfterEvents: change.cutAfterEvents ?? null,
  };
}

export const hang: Reply = { kind: 'hang' };
export const cut: Reply = { kind: 'cut' };

/** The reply of a recorded exchange, as it was. */
export function replyOf(exchange: RecordedExchange): Reply {
  const { status, headers, body, stream: events, closedByServerAfterMs } = exchange.response;
  if (events !== undefined)
    return { kind: 'stream', events, closeAfterMs: closedByServerAfterMs ?? null, cutAfterEvents: null };
  const kept = Object.entries(headers).filter(([name]) =>
    /^(?:content-type|retry-after|warning)$/i.test(name),
  );
  return answer(status, body ?? '', Object.fromEntries(kept.map(([name, value]) => [name, String(value)])));
}
