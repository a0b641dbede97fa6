/** How a node of the cluster stands: whether it needs attestation, and whether its machine is trusted now. */
import type { Trust, TrustState } from '../../attest/trust/types.ts';
import type { GatewayConfig } from '../../config/schema.ts';

export type Admission = NonNullable<GatewayConfig['admission']>;

/** A node at the moment of the question. */
export interface Standing {
  readonly node: string;
  /** Null: none is given for it. */
  readonly surface: string | null;
  /** `unknown`: no TPM is approved under the name of its surface. Null without a surface. */
  readonly state: TrustState | 'unknown' | null;
  /** Why it gets nothing, with what to do about it; null: it may. */
  readonly refusal: string | null;
}

const remedies: Readonly<Record<TrustState | 'unknown', (surface: string) => string>> = {
  quarantined: (surface) => `approve its TPM: surfaced surfaces approve ${surface}`,
  unknown: (surface) => `approve its TPM: surfaced surfaces approve ${surface}`,
  pending: () => 'start surfaced on it and wait until it has attested',
  trusted: () => 'try again',
  stale: () => 'see that it is on, that surfaced runs on it and that it reaches the gateway',
  failed: (surface) => `surfaced surfaces show ${surface} tells which check failed`,
  revoked: (surface) =>
    `an operator withdrew its trust; only approval gives it back: surfaced surfaces approve ${surface}`,
};

/**
 * Answers from what is known now; nothing is kept between questions. The Node object is never asked: whoever may write it
 * could say anything, and old API servers show webhooks stale fields of it (CVE-2021-25735).
 */
export function createStandings(
  { nodes, attestedNodes }: Pick<Admission, 'nodes' | 'attestedNodes'>,
  trust: Pick<Trust, 'isTrusted' | 'of'>,
): (node: string) => Standing {
  const surfaces = new Map(nodes.map(({ node, surface }) => [node, surface]));
  return (node) => {
    const surface = surfaces.get(node) ?? null;
    if (surface === null) {
      const refusal =
        attestedNodes === 'listed'
          ? null
          : `every node needs attestation, and node "${node}" is not in admission.nodes of the gateway: add it there with its surface`;
      return { node, surface, state: null, refusal };
    }
    const state = trust.of(surface)?.state ?? 'unknown';
    if (trust.isTrusted(surface)) return { node, surface, state, refusal: null };
    return {
      node,
      surface,
      state,
      refusal: `node "${node}" needs attestation, and its surface "${surface}" is not trusted now (${state}): ${remedies[state](surface)}`,
    };
  };
}
