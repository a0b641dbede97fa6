/** One request of an API server from its body to its answer. Whatever goes wrong on the way is a refusal. */
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { type CertificateRules, judgeCertificate } from './certificates.ts';
import { judgeBinding, judgePod, type PodRules, type Ruling } from './pods.ts';
import { type AdmissionRequest, answerOf, type Decision, readReview, UnreadableError } from './review.ts';

export interface JudgeParts extends PodRules, CertificateRules {
  readonly exemptNamespaces: ReadonlySet<string>;
  readonly log: Log;
}

/** An answer, or why there can be none. */
export type Judged =
  | { readonly answer: ReturnType<typeof answerOf> }
  | { readonly answer: null; readonly problem: string };

type Rule = (request: AdmissionRequest, parts: JudgeParts) => Ruling;
/** Group, version, resource and subresource, operation. The registration names these and no others. */
const rules: Readonly<Record<string, Rule>> = {
  '/v1/pods CREATE': judgePod,
  '/v1/pods UPDATE': judgePod,
  '/v1/pods/ephemeralcontainers UPDATE': judgePod,
  '/v1/pods/binding CREATE': judgeBinding,
  '/v1/bindings CREATE': judgeBinding,
};
/** These are of the whole cluster: no namespace exempts them. */
const clusterRules: Readonly<Record<string, Rule>> = {
  'certificates.k8s.io/v1/certificatesigningrequests CREATE': judgeCertificate,
  'certificates.k8s.io/v1/certificatesigningrequests/approval UPDATE': judgeCertificate,
};

/** Makes the function that judges bodies; it never throws. */
export function createJudge(parts: JudgeParts): (body: unknown) => Judged {
  return (body) => {
    const reading = readReview(body);
    if (reading.uid === null) return { answer: null, problem: reading.problem };
    if (!('request' in reading)) {
      parts.log.warn({ uid: reading.uid, reason: reading.problem }, 'admission refused');
      return { answer: answerOf(reading.uid, refused(reading.problem)) };
    }
    const { uid, request } = reading;
    const decision = decide(request, parts);
    tell(request, decision, parts.log);
    return { answer: answerOf(uid, decision) };
  };
}

const refused = (reason: string): Decision => ({ outcome: 'refused', reason, annotations: {} });

function decide(request: AdmissionRequest, parts: JudgeParts): Decision {
  const { resource, subResource, operation, namespace } = request;
  const path = [resource.group, resource.version, resource.resource, ...(subResource ? [subResource] : [])];
  const what = `${path.join('/')} ${operation}`;
  const clusterRule = Object.hasOwn(clusterRules, what) ? clusterRules[what] : undefined;
  if (clusterRule === undefined && parts.exemptNamespaces.has(namespace))
    return { outcome: 'allowed', reason: 'exempt namespace', annotations: {} };
  const rule = clusterRule ?? (Object.hasOwn(rules, what) ? rules[what] : undefined);
  if (rule === undefined)
    return refused(
      `surfaced does not judge ${what}: register it with what \`surfaced admission manifest\` prints`,
    );
  if (clusterRule === undefined && namespace === '') return refused('the request names no namespace');
  try {
    return decisionOf(rule(request, parts));
  } catch (error) {
    if (error instanceof UnreadableError) return refused(error.message);
    if (error instanceof SurfacedError) return refused(`it cannot be read: ${error.message}`);
    parts.log.error({ err: error, uid: request.uid }, 'admission failed');
    return refused('the gateway failed; its log has the reason');
  }
}

function decisionOf({ refusals, standing, isMirror }: Ruling): Decision {
  const annotations: Record<string, string> = {};
  if (standing?.surface) annotations.surface = standing.surface;
  if (standing?.state) annotations.state = standing.state;
  const reason = refusals.join('; ');
  const outcome = refusals.length === 0 ? 'allowed' : isMirror ? 'reported' : 'refused';
  return { outcome, reason, annotations };
}

function tell(request: AdmissionRequest, decision: Decision, log: Log): void {
  const { uid, resource, subResource, operation, namespace, name, dryRun, userInfo } = request;
  const { outcome, reason, annotations } = decision;
  const fields = {
    uid,
    resource: subResource ? `${resource.resource}/${subResource}` : resource.resource,
    operation,
    namespace,
    name,
    user: userInfo.username,
    dryRun,
    reason,
    ...annotations,
  };
  if (outcome === 'refused') log.warn(fields, 'admission refused');
  else if (outcome === 'reported') log.warn(fields, 'admission reported: the kubelet runs it already');
  else if (annotations.surface !== undefined) log.info(fields, 'admission allowed');
  else log.debug(fields, 'admission allowed');
}
