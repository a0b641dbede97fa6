/** What a slot message says of a target: the snapshot in the words of the wire. Pure. */
import type { BindingConfig } from '../../config/schema.ts';
import type { Colour, SlotOwner } from '../../surface/types.ts';
import type { TargetSnapshot } from '../kube/types.ts';
import type { SlotMessage } from '../wire/messages.ts';
import { cut } from './command.ts';
import { gitopsName } from './guards.ts';
import { nameOf } from './slots.ts';
import { withClaims } from './verbs/claims.ts';
import { actingOn } from './verbs/table.ts';
import type { BlockedNote } from './verbs/verb.ts';

export type { BlockedNote } from './verbs/verb.ts';
export { conditionOf } from './verbs/workload.ts';

/** Everything of a slot message that a change is measured by. */
export type SlotBody = Omit<SlotMessage, 'v' | 'rev' | 'at'>;

/** Most Pods that a message may name. */
const maxPods = 512;

/** The slot message of a binding, from what is known of its target. */
export function slotBody(
  binding: BindingConfig,
  colour: Colour,
  snapshot: TargetSnapshot,
  note: BlockedNote | null,
): SlotBody {
  const acting = actingOn(binding, snapshot);
  const body = acting.verb.show(acting.snapshot, note, binding.target.kind);
  const { observed, ready, lights, condition } =
    binding.show === 'claims' ? withClaims(body, snapshot) : body;
  const { state, reason, message } = condition;
  return {
    name: nameOf(binding),
    colour,
    kind: binding.target.kind,
    desired: acting.verb.numberOf(acting.snapshot),
    observed,
    ready,
    pods: lights.slice(0, maxPods).map(([key, light]) => [key, light]),
    podsLeftOut: Math.max(0, lights.length - maxPods),
    condition: { state, reason: reason.slice(0, 64), message: cut(message, 512) },
    owner: ownerOf(snapshot),
  };
}

/** Who else decides about the number. */
function ownerOf({ autoscaler, target }: TargetSnapshot): SlotOwner | null {
  if (autoscaler) return { kind: 'autoscaler', name: autoscaler.name.slice(0, 128) };
  if (target?.gitops) return { kind: 'gitops', name: gitopsName(target.gitops).slice(0, 128) };
  return null;
}
