/** A file of HTTP exchanges and watch streams that were recorded from a real API server. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

const headers = z.record(z.string(), z.union([z.string(), z.number()])).default({});

const exchangeSchema = z.object({
  note: z.string().optional(),
  request: z.object({ method: z.string(), path: z.string(), headers, body: z.unknown().optional() }),
  response: z.object({
    status: z.int(),
    headers,
    body: z.unknown().optional(),
    /** Events of a watch with the milliseconds since it was opened. */
    stream: z.array(z.object({ ms: z.number(), event: z.record(z.string(), z.unknown()) })).optional(),
    closedByServerAfterMs: z.number().nullable().optional(),
  }),
});

const recordingSchema = z.object({ name: z.string(), exchanges: z.array(exchangeSchema) });

export type RecordedExchange = z.infer<typeof exchangeSchema>;
export type Recording = z.infer<typeof recordingSchema>;

/** Reads a recording. */
export async function loadRecording(file: string): Promise<Recording> {
  return recordingSchema.parse(JSON.parse(await readFile(file, 'utf8')));
}
