/**
 * What operators decide on the pages. Each is written into the audit log with their name before it is done, and takes the path
 * of the command line: the file of the surface, or the request or object in the cluster, written with the gateway's own
 * rights after Kubernetes has said that this user may (rights.ts of the pages).
 */
import type { Audit } from '../attest/audit/types.ts';
import type { Attesting, Quarantined } from '../attest/trust/types.ts';
import type { ConnectedCluster } from '../bridge/kube/cluster.ts';
import { Limiter } from '../bridge/kube/pause.ts';
import { rbacFor } from '../bridge/kube/rbac.ts';
import { fields } from '../bridge/kube/read.ts';
import { reviewAccess } from '../bridge/kube/reviews.ts';
import { approveIn, checkName } from '../bridge/registry/approve-file.ts';
import { pathOf } from '../bridge/registry/cluster/objects.ts';
import { requestName, requestOf } from '../bridge/registry/cluster/request-objects.ts';
import { type Decision, writeDecision } from '../bridge/registry/cluster/write-decision.ts';
import { changeSurface } from '../bridge/registry/folder-files.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { BindingRights, PageSources, PageUser, RightCheck } from '../web/sources.ts';
import { askError } from './access.ts';

/** How long what Kubernetes said of a surface's rights counts, milliseconds. */
const rememberedMs = 30_000;
const mostRemembered = 2000;
/** Asked at a time; a page of surfaces with many bindings has a thousand questions. */
const mostQuestions = 8;

export interface DecisionParts {
  readonly config: GatewayConfig;
  readonly cluster: ConnectedCluster;
  readonly attesting: Attesting;
  readonly audit: Audit;
  readonly namespace: string;
  readonly signal: AbortSignal;
  readonly log: Log;
}

type Decisions = Pick<PageSources, 'approve' | 'deny' | 'setRevoked'> & {
  bindingRights(surface: ControlSurface): Promise<readonly BindingRights[]>;
};

const refused = (words: string): SurfacedError => new SurfacedError('E_PAGES_REFUSED', words);

export function createDecisions(parts: DecisionParts): Decisions {
  const { config, cluster, attesting, audit, namespace, signal, log } = parts;
  const { access } = cluster;
  const folder = config.registry.folder ?? null;

  const waitingOf = (ekSha256: string): Quarantined => {
    const waiting = attesting.quarantine().find((one) => one.ekSha256 === ekSha256);
    if (waiting === undefined) throw refused('this TPM does not wait any more');
    return waiting;
  };
  /** Runs something at the API server. */
  const asked = async <T>(what: string, step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (error) {
      throw askError(what, error);
    }
  };
  const record = async (
    by: PageUser,
    event: {
      readonly what: 'approve' | 'deny' | 'revoke' | 'restore';
      readonly surface: string | null;
      readonly ekSha256: string | null;
      readonly detail: string;
    },
  ): Promise<void> => {
    log.info({ user: by.name, ...event }, 'an operator decided');
    await audit.append({ kind: 'operator', user: by.name.slice(0, 1024), ...event });
  };
  const decideInCluster = (ekSha256: string, decision: Decision) =>
    asked('the request cannot be written', async () => {
      const path = `${pathOf('surfacerequests', namespace)}/${requestName(ekSha256)}`;
      const request = requestOf(fields(await access.get(path, signal)));
      if (request.facts.ekSha256 !== ekSha256)
        throw refused('another TPM has a request of this name; decide with kubectl');
      return writeDecision(access, { path, request }, decision, signal);
    });

  /** A file is read, changed and written: two decisions at a time would lose one, and a check of names could miss the other. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = last.then(step, step);
    last = turn.catch(() => {});
    return turn;
  };
  const limiter = new Limiter(mostQuestions);

  const remembered = new Map<string, { readonly check: Promise<RightCheck>; readonly at: number }>();
  const checkOnce = (key: string, ask: () => Promise<RightCheck>): Promise<RightCheck> => {
    const known = remembered.get(key);
    const now = performance.now();
    if (known && now - known.at < rememberedMs) return known.check;
    const check = ask();
    remembered.delete(key);
    remembered.set(key, { check, at: now });
    if (remembered.size > mostRemembered) remembered.delete(remembered.keys().next().value ?? '');
    check.catch(() => remembered.delete(key));
    return check;
  };

  return {
    approve: async ({ ekSha256, code, name, level, policy, isReplacing }, by) => {
      checkName(name);
      const waiting = waitingOf(ekSha256);
      const digits = code.replace(/\D/g, '');
      if (digits !== waiting.pairingCode.replace(/\D/g, ''))
        throw refused(
          'the code that you typed is not the one of this TPM: look at the panel again; if it shows this code, it is another surface',
        );
      const what = `as "${name}"${level === null ? '' : `, level ${level}`}${policy === null ? '' : `, reference sets ${policy}`}${isReplacing ? ', in place of the TPM it had' : ''}`;
      await record(by, { what: 'approve', surface: name, ekSha256, detail: what });
      if (folder !== null) {
        const approved = await inTurn(() =>
          approveIn(folder, { name, ekSha256, level, policy, isReplacing }),
        );
        return `${name} is approved${approved.isRevoked ? ', and is still revoked' : ''}: its surface is let in at its next attempt.`;
      }
      const done = await decideInCluster(ekSha256, {
        decision: 'Approve',
        ...{ surface: name, level, policy, isReplacing },
      });
      return done === null
        ? `approval of ${name} is written; the gateway has not carried it out yet.`
        : `${name} is approved: its surface is let in at its next attempt.`;
    },
    deny: async (ekSha256, by) => {
      const { pairingCode } = waitingOf(ekSha256);
      if (folder !== null) throw refused('denials are kept by a registry in the cluster');
      await record(by, { what: 'deny', surface: null, ekSha256, detail: `pairing code ${pairingCode}` });
      await decideInCluster(ekSha256, { decision: 'Deny' });
      return `the TPM with the code ${pairingCode} is denied.`;
    },
    setRevoked: async (name, isRevoked, by) => {
      const what = isRevoked ? 'revoke' : 'restore';
      await record(by, { what, surface: name, ekSha256: null, detail: `isRevoked: ${isRevoked}` });
      if (folder !== null) {
        const files = await inTurn(() =>
          changeSurface({
            ...{ folder, name },
            change: (document) => document.setIn(['spec', 'isRevoked'], isRevoked),
          }),
        );
        if (files.length === 0) throw refused(`there is no surface "${name}" any more`);
      } else
        await asked('the surface cannot be written', () =>
          access.write(
            {
              method: 'PATCH',
              path: `${pathOf('controlsurfaces', namespace)}/${encodeURIComponent(name)}`,
              body: { spec: { isRevoked } },
            },
            signal,
          ),
        );
      return isRevoked ? `${name} is revoked; its sessions end now.` : `${name} may prove itself anew.`;
    },
    bindingRights: async (surface) => {
      const { name } = surface.metadata;
      const { userPrefix, group } = config.cluster;
      const user: PageUser = {
        name: `${userPrefix}${name}`,
        uid: '',
        groups: [group, 'system:authenticated'],
        extra: { 'surfaced.dev/surface': [name] },
      };
      /** After the first failure nothing more is asked: an API server that hangs would be asked for minutes. */
      const attempt = new AbortController();
      const ask = (question: Parameters<typeof reviewAccess>[2]): Promise<RightCheck> =>
        checkOnce(JSON.stringify([name, question]), () =>
          asked('the API server cannot be asked what the surface may do', async () => {
            const { isAllowed, reason } = await limiter.run(() => {
              attempt.signal.throwIfAborted();
              return reviewAccess(access, user, question, signal);
            });
            const { verb, resource, subresource } = question;
            return { what: `${verb} ${resource}${subresource && `/${subresource}`}`, isAllowed, reason };
          }),
        );
      try {
        return await Promise.all(
          surface.spec.bindings.map(async (binding) => ({
            control: binding.control,
            bank: binding.bank,
            checks: await Promise.all(questionsOf(surface, binding, config).map(ask)),
          })),
        );
      } catch (error) {
        attempt.abort(error);
        throw error;
      }
    },
  };
}

/** What a binding needs, one question each: the rules of the Role that `surfaced rbac` would print for it alone. */
function questionsOf(
  surface: ControlSurface,
  binding: ControlSurface['spec']['bindings'][number],
  { cluster }: GatewayConfig,
): Parameters<typeof reviewAccess>[2][] {
  const alone = { ...surface, spec: { ...surface.spec, bindings: [binding] } };
  const roles = rbacFor(alone, cluster).filter(({ kind }) => kind.endsWith('Role'));
  return roles.flatMap(({ metadata, rules }) =>
    (
      rules as readonly {
        readonly apiGroups: readonly string[];
        readonly resources: readonly string[];
        readonly resourceNames?: readonly string[];
        readonly verbs: readonly string[];
      }[]
    ).flatMap((rule) =>
      rule.apiGroups.flatMap((group) =>
        rule.resources.flatMap((path) =>
          (rule.resourceNames ?? ['']).flatMap((name) =>
            rule.verbs.map((verb) => {
              const [resource = '', subresource = ''] = path.split('/');
              return { namespace: metadata.namespace ?? '', group, resource, subresource, name, verb };
            }),
          ),
        ),
      ),
    ),
  );
}
