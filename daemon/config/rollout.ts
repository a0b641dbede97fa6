/** The file of a rollout: which version a fleet is to have, and how carefully it gets there. */
import { z } from 'zod';
import { versionPattern } from '../version.ts';
import { head, name, unixPath } from './fields.ts';

/** A version of the image. */
export const versionField = z.string().regex(versionPattern, 'a version, e.g. 1.2.0');

/** Updates, in the Gateway file. */
export const updatesSchema = z
  .strictObject({
    folder: unixPath.describe(
      'Folder of bundles (`<version>.raucb`) and Rollout files, watched for changes; `surfaced updates` writes there.',
    ),
    trustedSigners: unixPath.describe(
      'File with the CA certificates (PEM) that signers of bundles must be of.',
    ),
  })
  .optional()
  .describe('Updates of surfaces that run the image; left out: none are offered. docs/rollout.md.');

/** A rollout. */
export const rolloutSchema = z.strictObject({
  ...head,
  kind: z.literal('Rollout').describe('What this file describes.'),
  metadata: z.strictObject({ name }).describe('Which rollout this is.'),
  spec: z
    .strictObject({
      version: versionField.describe('Version that the surfaces are to have.'),
      surfaces: z
        .array(name)
        .min(1)
        .max(5000)
        .optional()
        .describe('Surfaces in the order in which they are asked; left out: all, by name.'),
      atOnce: z
        .int()
        .min(1)
        .max(1000)
        .default(1)
        .describe('So many surfaces at most are on their way at the same time.'),
      stopAfterFailures: z
        .int()
        .min(1)
        .max(5000)
        .default(1)
        .describe('Once so many surfaces have failed, no other one is asked.'),
      isPaused: z.boolean().default(false).describe('True asks no other surface; those on their way go on.'),
    })
    .describe('What is wanted.'),
});

export type Rollout = Readonly<z.infer<typeof rolloutSchema>>;
