/** Fields of the config that parts on GPIO lines share. */
import { z } from 'zod';

/** Number of a line. */
export const lineNumber = z.int().min(0).max(63);

/** How the contacts of a part are wired. */
export const biasField = z
  .enum(['pull-up', 'pull-down', 'none'])
  .default('pull-up')
  .describe(
    'Pull of the lines in the Pi: pull-up for contacts to ground; none where the part has resistors.',
  );
