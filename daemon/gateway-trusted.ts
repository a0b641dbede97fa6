/**
 * Which surfaces may act, and what follows when one may not any more. Of several gateways each knows the evidence that it has
 * judged itself; for what others have judged stands the certificate that one of them gave, for as long as it lasts.
 */
import type { Attesting, SurfaceTrust } from './attest/trust/types.ts';
import type { Identity } from './attest/types.ts';
import type { Registry } from './bridge/registry/types.ts';
import { type CtlMessage, encode } from './bridge/wire/messages.ts';
import { ctlTopic, wireVersion } from './bridge/wire/topics.ts';
import type { GatewayConfig } from './config/schema.ts';
import type { SurfaceBus } from './gateway-bus.ts';
import type { Log } from './log.ts';

interface Parts {
  readonly config: GatewayConfig;
  readonly registry: Registry;
  readonly attesting: Attesting;
}

/** Asked again and again: a certificate lives through revocation, failed evidence and a stricter policy. */
export function allowanceBy({ config, registry, attesting }: Parts): (identity: Identity) => boolean {
  return ({ surface, trust, ekSha256 }) => {
    const known = registry.get(surface);
    if (known === null || known.spec.isRevoked) return false;
    if (trust === 'token') return config.policy.identity === 'token';
    if (ekSha256 === null || ekSha256 !== known.spec.tpm?.ekSha256) return false;
    if (attesting.isTrusted(surface)) return true;
    if (config.shards === undefined) return false;
    const state = attesting.of(surface)?.state;
    // Failed here before another gateway found it good: with a broker of others, what was issued before does not count.
    return (
      state === 'pending' || state === 'stale' || (state === 'failed' && config.broker.mode === 'external')
    );
  };
}

/** What is known of a surface with a TPM by all gateways: what its certificate says where another one has judged it. */
export function trustBy(
  { config, attesting }: Parts,
  bus: Pick<SurfaceBus, 'identityOf'>,
  isAllowed: (identity: Identity) => boolean,
): (surface: string) => SurfaceTrust | null {
  return (surface) => {
    const own = attesting.of(surface);
    if (own === null || own.state === 'trusted' || config.shards === undefined) return own;
    const identity = bus.identityOf(surface);
    if (identity?.trust !== 'tpm' || !isAllowed(identity)) return own;
    const reason = 'another gateway has judged it, by the certificate that it shows';
    return { ...own, state: 'trusted', level: identity.level, reason };
  };
}

/** Ends sessions of surfaces that may not act any more, and renews what has become untrue in certificates. */
export function keepTrusted(
  parts: Parts,
  bus: SurfaceBus,
  isAllowed: (identity: Identity) => boolean,
  log: Log,
): void {
  const { config, registry, attesting } = parts;
  const endWhatMayNotBe = (names: readonly string[], isJudged: boolean): void => {
    for (const name of names) {
      const identity = bus.identityOf(name);
      // Evidence that fails here counts at once, whatever another gateway found before.
      const hasFailed = isJudged && attesting.of(name)?.state === 'failed';
      if (identity && (hasFailed || !isAllowed(identity))) bus.disconnect(name, 'may not act any more');
    }
  };
  /** A certificate says its level until it ends; it shall not be another one than what is known for longer than it must. */
  const renewWhatIsOfAnotherLevel = (names: readonly string[]): void => {
    for (const name of names) {
      const identity = bus.identityOf(name);
      const level = attesting.of(name)?.level ?? null;
      if (identity?.trust !== 'tpm' || level === null || level === identity.level) continue;
      const reason = `its level is ${level} now, and that of its certificate ${identity.level}`;
      const message: CtlMessage = { v: wireVersion, type: 'renew', reason };
      bus
        .publish(ctlTopic(config.site, name), encode(message), { qos: 1, isRetained: false })
        .catch((error: unknown) => log.warn({ err: error, surface: name }, 'renewal was not asked for'));
    }
  };
  // Trust has followed the registry when this is called: it was told first.
  registry.onChange((names) => endWhatMayNotBe(names, false));
  attesting.onChange((names) => endWhatMayNotBe(names, true));
  attesting.onChange(renewWhatIsOfAnotherLevel);
}
