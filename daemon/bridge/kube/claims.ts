/** The volume claims of a StatefulSet, as far as a light needs them. */
import type { PodLight } from '../../surface/types.ts';
import { type Fields, fields, text, time } from './read.ts';
import type { ClaimState } from './types.ts';

/** PersistentVolumeClaim status.phase as lights: bound is well, lost is lost. */
const lights: Readonly<Record<string, PodLight>> = { Bound: 'ready', Pending: 'pending', Lost: 'crashed' };

/** Slim record of a claim; of a phase that is not known it is shown as pending. */
export function parseClaim(claim: Fields): ClaimState {
  const metadata = fields(claim.metadata);
  const phase = text(fields(claim.status).phase, 64);
  return {
    name: text(metadata.name),
    light: metadata.deletionTimestamp === undefined ? (lights[phase] ?? 'pending') : 'terminating',
    createdAt: time(metadata.creationTimestamp),
  };
}

/**
 * Those that a StatefulSet makes, by their names `<template>-<set>-<ordinal>` (Kubernetes documentation, "StatefulSets"), by
 * ordinal and then by template.
 */
export function claimsOf(set: string, claims: Iterable<ClaimState>): readonly ClaimState[] {
  const found: { readonly claim: ClaimState; readonly template: string; readonly ordinal: number }[] = [];
  for (const claim of claims) {
    const [, head = '', digits = ''] = /^(.+)-(\d{1,6})$/.exec(claim.name) ?? [];
    if (!head.endsWith(`-${set}`)) continue;
    const template = head.slice(0, -set.length - 1);
    if (template !== '') found.push({ claim, template, ordinal: Number(digits) });
  }
  found.sort((one, other) => one.ordinal - other.ordinal || (one.template < other.template ? -1 : 1));
  return found.map(({ claim }) => claim);
}
