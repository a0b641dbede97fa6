/** What a person at a terminal needs to know about the demo that has just started. */
import type { ControlSurface } from '../daemon/config/schema.ts';
import type { IdentityKind } from './demo-identity.ts';
import { BEHAVIOUR } from './sim/cluster/controllers/behaviour.ts';
import { shellWord } from './sim/panel/shell-word.ts';

/** What the banner tells of. */
export interface BannerFacts {
  readonly url: string;
  readonly kubeconfigPath: string;
  /** Context in the kubeconfig that is used. */
  readonly context: string;
  readonly isSimulated: boolean;
  /** Model and path of the real panel, null when there is only the page. */
  readonly device: string | null;
  readonly surface: ControlSurface;
  readonly identity: IdentityKind;
  readonly rbacPath: string;
  /** User that the API server sees. */
  readonly user: string;
}

const row = (word: string, text: string): string => `  ${word.padEnd(10)}${text}`;
const kubectl = (demo: BannerFacts): string => `kubectl --kubeconfig ${shellWord(demo.kubeconfigPath)}`;

/** What the surface proves itself by; the panel shows how far it got. */
const trustOf = (identity: IdentityKind): string =>
  identity === 'tpm'
    ? 'attested by a software TPM, which proves nothing about this machine; the panel shows code and level'
    : 'NOT ATTESTED: a one-time token, no TPM';

/** Lines to copy; the workloads are those that the simulated cluster begins with. */
function simulated(demo: BannerFacts): string[] {
  const shop = `${kubectl(demo)} -n shop`;
  return [
    '',
    '  In another terminal: watch, scale, let Pods crash, let them recover',
    `    ${kubectl(demo)} get pods -A -w`,
    `    ${shop} scale deployment cart --replicas=6`,
    `    ${shop} annotate deployment flaky ${BEHAVIOUR}=crash`,
    `    ${shop} annotate deployment flaky ${BEHAVIOUR}-`,
    '',
  ];
}

function real(demo: BannerFacts): string[] {
  const lines: string[] = [];
  const { bindings } = demo.surface.spec;
  if (bindings.length === 0) {
    return [row('bindings', 'none: name targets with --bind namespace/kind/name or --surface <file>')];
  }
  for (const [index, { control, bank, target, min, max }] of bindings.entries()) {
    const where = bank === 0 ? control : `${control} on bank ${bank + 1}`;
    const what = `${target.namespace}/${target.kind}/${target.name}`;
    lines.push(row(index === 0 ? 'bindings' : '', `${where}: ${what}, ${min} to ${max} replicas`));
  }
  return [
    ...lines,
    row('acts as', `user ${demo.user}, who needs the right to scale these targets. To give it, once:`),
    row('', `${kubectl(demo)} --context ${shellWord(demo.context)} apply -f ${shellWord(demo.rbacPath)}`),
  ];
}

/** The banner, ready to be printed. */
export function demoBanner(demo: BannerFacts): string {
  const lines = [
    'surfaced demo',
    row('panel', demo.url),
    ...(demo.device === null ? [] : [row('device', `${demo.device}; the page is its twin`)]),
    row(
      'cluster',
      demo.isSimulated
        ? 'SIMULATED: no container runs in it; to kubectl it looks like a real one'
        : `REAL: context ${demo.context} of ${demo.kubeconfigPath}`,
    ),
    row('trust', trustOf(demo.identity)),
    row('health', `${demo.url}healthz`),
    ...(demo.isSimulated ? simulated(demo) : real(demo)),
    '  Ctrl-C ends it and removes its files.',
  ];
  return `${lines.join('\n')}\n`;
}
