/** Pods and bindings: on which node, and with which images (kubernetes/api, core/v1/types.go). */
import { z } from 'zod';
import type { ImageList } from './image-list.ts';
import type { Standing } from './nodes.ts';
import { type AdmissionRequest, readObject } from './review.ts';

const container = z.object({ name: z.string(), image: z.string().nullish() });
const podSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).nullish() }),
  spec: z.object({
    nodeName: z.string().nullish(),
    containers: z.array(container),
    initContainers: z.array(container).nullish(),
    ephemeralContainers: z.array(container).nullish(),
    // What an image volume holds can be run, too.
    volumes: z
      .array(z.object({ name: z.string(), image: z.object({ reference: z.string().nullish() }).nullish() }))
      .nullish(),
  }),
});
type Pod = z.output<typeof podSchema>;

const bindingSchema = z.object({
  target: z.object({ kind: z.literal(['', 'Node']).nullish(), name: z.string().min(1) }),
});

/** What one of the rules says. */
export interface Ruling {
  /** Empty: nothing speaks against it. */
  readonly refusals: readonly string[];
  readonly standing: Standing | null;
  /** The kubelet tells of a static Pod, which runs already: it can be reported only. */
  readonly isMirror: boolean;
}

/** What is known to judge Pods. */
export interface PodRules {
  standingOf(node: string): Standing;
  readonly imageNamespaces: ReadonlySet<string>;
  readonly images: ImageList;
}

/** A Pod that is put on a node by the scheduler, or by whoever may. @throws UnreadableError */
export function judgeBinding(request: AdmissionRequest, { standingOf }: PodRules): Ruling {
  const { target } = readObject(bindingSchema, request.object, 'binding');
  const standing = standingOf(target.name);
  return { refusals: refusalsOf(standing), standing, isMirror: false };
}

/** A Pod that is made or changed. @throws UnreadableError */
export function judgePod(request: AdmissionRequest, rules: PodRules): Ruling {
  const pod = readObject(podSchema, request.object, 'pod');
  const isNew = request.operation === 'CREATE';
  // After its creation only a binding gives a Pod its node.
  const node = isNew ? (pod.spec.nodeName ?? '') : '';
  const standing = node === '' ? null : rules.standingOf(node);
  const before = isNew ? null : podSchema.safeParse(request.oldObject);
  const images = rules.imageNamespaces.has(request.namespace)
    ? imageRefusals(pod, before?.data ?? null, rules.images)
    : [];
  return {
    refusals: [...(standing === null ? [] : refusalsOf(standing)), ...images],
    standing,
    isMirror: isNew && isMirror(pod, request.userInfo.username),
  };
}

const refusalsOf = ({ refusal }: Standing): string[] => (refusal === null ? [] : [refusal]);

/** The annotation alone proves nothing, anybody can write it: it counts from the kubelet of that very node. */
const isMirror = ({ metadata, spec }: Pod, username: string): boolean =>
  metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined &&
  (spec.nodeName ?? '') !== '' &&
  username === `system:node:${spec.nodeName}`;

interface Use {
  /** Where in the Pod, for people. */
  readonly place: string;
  readonly image: string;
}

function usesOf({ spec }: Pod): Use[] {
  const of = (kind: string, list: Pod['spec']['initContainers']): Use[] =>
    (list ?? []).map(({ name, image }) => ({ place: `${kind} "${name}"`, image: image ?? '' }));
  return [
    ...of('container', spec.containers),
    ...of('init container', spec.initContainers),
    ...of('ephemeral container', spec.ephemeralContainers),
    ...(spec.volumes ?? []).flatMap(({ name, image }) =>
      image ? [{ place: `image volume "${name}"`, image: image.reference ?? '' }] : [],
    ),
  ];
}

/**
 * A name by digest; a tag beside it is not used by any runtime. Digests are in lower case (OCI image-spec, descriptor.md),
 * so one in upper case is another text for what could be the same image, and refused.
 */
const byDigest = /^[^@\s]+@(sha256:[0-9a-f]{64})$/;
/** Longest text of an image that is repeated, characters. */
const mostShown = 200;
const mostRefusals = 5;

/** @param before the Pod as it was: what it has already is not judged again, so that it can be ended in peace */
function imageRefusals(pod: Pod, before: Pod | null, images: ImageList): string[] {
  const known = new Set(before === null ? [] : usesOf(before).map(keyOf));
  const added = usesOf(pod).filter((use) => !known.has(keyOf(use)));
  if (added.length === 0) return [];
  const problem = images.problem();
  if (problem !== null) return [`no image can be admitted, because the list of images is broken: ${problem}`];
  const refusals = added.flatMap(({ place, image }) => {
    const digest = byDigest.exec(image)?.[1];
    const shown = `${place}: image "${image.slice(0, mostShown)}"`;
    if (digest === undefined) return [`${shown} is not named by digest (name@sha256:<64 hex digits>)`];
    return images.has(digest) ? [] : [`${shown} is not on the list of images that may run here`];
  });
  const more = refusals.length - mostRefusals;
  return more > 0 ? [...refusals.slice(0, mostRefusals), `and ${more} more`] : refusals;
}

const keyOf = ({ place, image }: Use): string => `${place} ${image}`;
