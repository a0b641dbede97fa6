/** Reference sets for tests, as text and ready for comparisons. */

import { parseImaContents } from '../../../daemon/attest/policy/ima-contents.ts';
import { parseReferenceSet, type Reference, reference } from '../../../daemon/attest/policy/reference-set.ts';
import { makeSigningKey } from '../../../daemon/attest/policy/signature.ts';
import { SurfacedError } from '../../../daemon/errors.ts';

export interface SetDraft {
  readonly name?: string;
  readonly version?: number;
  readonly spec: object;
}

/** JSON is YAML. */
export const setText = ({ name = 'pi', version = 1, spec }: SetDraft): string =>
  `${JSON.stringify({
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'ReferenceSet',
    metadata: { name, version },
    spec,
  })}\n`;

/** @param list content of the list of IMA that the set names */
export function setOf(draft: SetDraft, list: string | null = null): Reference {
  const bytes = Buffer.from(setText(draft));
  const set = parseReferenceSet(bytes, 'set.yaml');
  const isPathCompared = set.spec.ima?.isPathCompared ?? false;
  const contents =
    list === null ? null : parseImaContents(Buffer.from(list), { name: 'list', isPathCompared });
  return reference(set, { file: 'set.yaml', bytes, signer: null, contents });
}

/** The lines of the error that comes, which must have one of these codes. */
export function messageOf(run: () => unknown, ...codes: readonly string[]): string {
  try {
    run();
  } catch (error) {
    if (error instanceof SurfacedError && codes.includes(error.code)) return error.message;
    throw error;
  }
  return '';
}

export async function rejectionOf(work: Promise<unknown>, ...codes: readonly string[]): Promise<string> {
  try {
    await work;
  } catch (error) {
    return messageOf(
      () => {
        throw error;
      },
      ...codes,
    );
  }
  return '';
}

export const [alice, bob] = [makeSigningKey(), makeSigningKey()];
