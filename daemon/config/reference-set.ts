/** The file of reference values: what the measurements of a surface must match. */
import { z } from 'zod';
import { head, name, sha256Hex, unixPath } from './fields.ts';

const measuredDigest = z
  .string()
  .regex(/^(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/, 'a digest of the bank in hex, lower case');
const pcr = z.int().min(0).max(15);
const instant = z.iso.datetime({ offset: true });

/** Reference values: what evidence must match. A file of its own, signed beside in `<file>.sig`. */
export const referenceSetSchema = z.strictObject({
  ...head,
  kind: z.literal('ReferenceSet').describe('What this file describes.'),
  metadata: z
    .strictObject({
      name,
      version: z
        .int()
        .min(1)
        .max(1_000_000_000)
        .describe('Versions of one name may be valid at the same time: during a rollout, old and new.'),
      description: z.string().max(500).optional().describe('For people.'),
    })
    .describe('Which reference values these are.'),
  spec: z
    .strictObject({
      notBefore: instant.optional().describe('Counts from this time on; left out: at once.'),
      notAfter: instant.optional().describe('Counts until this time; left out: until the file is removed.'),
      bank: z.enum(['sha256', 'sha384', 'sha512']).default('sha256').describe('Bank of all digests below.'),
      pcrs: z
        .array(
          z.strictObject({
            pcr: pcr.describe('Number of the PCR, 0 to 15, except 10.'),
            values: z.array(measuredDigest).min(1).max(64).describe('Values that this PCR may have.'),
          }),
        )
        .max(16)
        .default([])
        .describe('PCRs with fixed values; not for PCR 10, which depends on the order of events.'),
      firmware: z
        .array(
          z.strictObject({
            pcr: pcr.describe('Number of the PCR, 0 to 15, except 10.'),
            digests: z
              .array(measuredDigest)
              .max(2000)
              .describe('Digests that events of this PCR may have; an empty list: there must be no event.'),
          }),
        )
        .max(16)
        .default([])
        .describe('PCRs of the event log of which every event must be known.'),
      files: z
        .array(
          z.strictObject({
            path: unixPath.describe('Path as it was measured.'),
            sha256: z.array(sha256Hex).min(1).max(64).describe('Contents that it may have.'),
            isRequired: z.boolean().default(true).describe('Whether it must have been measured.'),
          }),
        )
        .max(5000)
        .default([])
        .describe('Files that `surfaced measure` has measured; left out: its log is not looked at.'),
      mayHaveOtherFiles: z
        .boolean()
        .default(false)
        .describe(
          'Whether files that are not listed may have been measured, too; counts where files are listed.',
        ),
      ima: z
        .strictObject({
          list: z
            .string()
            .regex(/^[^/]{1,255}$/, 'a file name without a folder')
            .describe(
              'File beside this one with the contents that may run: lines `<digest>  <path>`, as sha256sum writes them.',
            ),
          listSha256: sha256Hex.describe('SHA-256 of that file, which the signature thereby covers.'),
          isPathCompared: z
            .boolean()
            .default(false)
            .describe('Whether the path counts, too; paths in containers are not reliable.'),
          mostViolations: z
            .int()
            .min(0)
            .max(1_000_000)
            .default(0)
            .describe('Entries that may tell of a file that was written while it was measured.'),
        })
        .optional()
        .describe('What the list of IMA may hold; left out: it is not looked at.'),
    })
    .describe('The values.'),
});

export type ReferenceSet = Readonly<z.infer<typeof referenceSetSchema>>;
