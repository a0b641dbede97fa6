/** `POST /sim/<function>` with the arguments as JSON: the control functions for other processes. */
import { z } from 'zod';
import type { SimControl } from './control.ts';
import type { JsonMap } from './json.ts';
import { badRequest } from './status.ts';

const ref = z.object({
  apiVersion: z.string().default('apps/v1'),
  kind: z.string().default('Deployment'),
  namespace: z.string(),
  name: z.string(),
});

type Call = (control: SimControl, input: unknown) => JsonMap;

function call<T>(schema: z.ZodType<T>, run: (control: SimControl, input: T) => JsonMap | undefined): Call {
  return (control, input) => run(control, schema.parse(input)) ?? {};
}

function toggle(run: (control: SimControl, target: z.infer<typeof ref>, isOn: boolean) => void): Call {
  return call(ref.extend({ on: z.boolean().default(true) }), (control, { on, ...target }) => {
    run(control, target, on);
    return undefined;
  });
}

const CALLS: Readonly<Record<string, Call>> = {
  imageBroken: toggle((control, target, isOn) => control.setImageBroken(target, isOn)),
  crashing: toggle((control, target, isOn) => control.setCrashing(target, isOn)),
  neverReady: toggle((control, target, isOn) => control.setNeverReady(target, isOn)),
  quota: call(z.object({ namespace: z.string(), pods: z.int().nullable() }), (control, input) => {
    control.setQuota(input.namespace, input.pods);
    return undefined;
  }),
  hpa: call(ref.extend({ min: z.int(), max: z.int() }), (control, { min, max, ...target }) => {
    control.addHpa(target, { min, max });
    return undefined;
  }),
  revertBy: call(
    ref.extend({ manager: z.string(), replicas: z.int().nullable() }),
    (control, { manager, replicas, ...target }) => {
      control.revertBy(target, manager, replicas);
      return undefined;
    },
  ),
  replicas: call(
    ref.extend({ manager: z.string(), replicas: z.int() }),
    (control, { manager, replicas, ...target }) => {
      control.setReplicas(target, manager, replicas);
      return undefined;
    },
  ),
  failNext: call(
    z.object({ count: z.int(), status: z.int(), retryAfterSeconds: z.int().nullable().default(null) }),
    (control, input) => {
      control.failNext(input.count, input.status, input.retryAfterSeconds);
      return undefined;
    },
  ),
  hang: call(z.object({ ms: z.number() }), (control, { ms }) => {
    control.hang(ms);
    return undefined;
  }),
  compact: call(z.unknown(), (control) => {
    control.compactHistory();
    return undefined;
  }),
  cutWatches: call(z.unknown(), (control) => ({ cut: control.cutWatches() })),
  silenceWatches: call(z.object({ on: z.boolean() }), (control, { on }) => {
    control.silenceWatches(on);
    return undefined;
  }),
  token: call(
    z.object({ token: z.string(), username: z.string(), groups: z.array(z.string()).default([]) }),
    (control, input) => {
      control.addToken(input.token, input.username, input.groups);
      return undefined;
    },
  ),
  requests: call(z.unknown(), (control) => ({
    counts: control.requestLog.counts(),
    entries: control.requestLog.entries,
    connections: control.connectionCount(),
    openWatches: control.openWatches(),
  })),
  clearRequests: call(z.unknown(), (control) => {
    control.requestLog.clear();
    return undefined;
  }),
};

/** Carries out a call; null when there is no such function. @throws StatusError 400 */
export function callControl(control: SimControl, name: string, body: Buffer): JsonMap | null {
  const run = CALLS[name];
  if (run === undefined) return null;
  try {
    return run(control, JSON.parse(body.toString('utf8') || '{}') as unknown);
  } catch (error) {
    throw badRequest(error instanceof Error ? error.message : String(error));
  }
}
