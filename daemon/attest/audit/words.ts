/** Records of the audit log in words, for the command line and the pages. */
import type { LoggedEvent } from './record.ts';

/** Which surface it is about; null: none. */
export function surfaceOf(event: LoggedEvent): string | null {
  if (event.kind === 'command') return event.command.surface;
  return 'surface' in event ? event.surface : null;
}

/** What happened, in one line. Holds what surfaces have sent: not safe on a terminal. */
export function said(event: LoggedEvent): string {
  switch (event.kind) {
    case 'gateway':
      return `${event.what}, version ${event.version}`;
    case 'verdict': {
      const { verdict, why, evidence } = event;
      const bad = verdict.checks.find(({ outcome }) => outcome === 'failed');
      const outcome = verdict.isTrusted ? `trusted, level ${verdict.level}` : 'not trusted';
      return `${outcome} (${why}, evidence ${evidence})${bad === undefined ? '' : `: ${bad.name}: ${bad.reason}`}`;
    }
    case 'certificate':
      return `${event.trust}, evidence ${event.evidence}, serial ${event.serial}`;
    case 'trust':
      return `${event.from} to ${event.to}: ${event.reason}`;
    case 'command': {
      const { target, verb, want, saw, phase, code, detail } = event.command;
      const what = target === null ? 'no target' : `${target.kind} ${target.namespace}/${target.name}`;
      const how = verb === null || verb === undefined || verb === 'scale' ? '' : ` ${verb}`;
      return `${what},${how} ${saw ?? '?'} to ${want ?? '?'}: ${phase}, ${code}: ${detail}`;
    }
    case 'update':
      return `${event.outcome}, ${event.from ?? '?'} to ${event.version} (rollout ${event.rollout})${event.detail === '' ? '' : `: ${event.detail}`}`;
    case 'operator':
      return `${event.user}: ${event.what}${event.ekSha256 === null ? '' : `, TPM ${event.ekSha256}`}: ${event.detail}`;
    case 'segment':
      return `file ${event.segment} begins`;
    case 'signer':
      return `heads are signed by another key (${event.signer.type})`;
    case 'recovered':
      return `${event.bytes} bytes of an incomplete record were cut${event.isHeadMissing ? ', the head was missing' : ''}`;
  }
}
