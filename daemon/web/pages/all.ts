/** All pages. */
import type { PageParts, Route } from '../routes.ts';
import { approvalPages } from './approvals.ts';
import { auditPages } from './audit.ts';
import { bindingPages } from './bindings.ts';
import { commandPages } from './commands.ts';
import { evidencePages } from './evidence.ts';
import { surfacePages } from './surfaces.ts';

/** Everything that can be asked for by whoever may look. */
export const allPages = (parts: PageParts): readonly Route[] => [
  ...surfacePages(parts),
  ...approvalPages(parts),
  ...bindingPages(parts),
  ...evidencePages(parts),
  ...commandPages(parts),
  ...auditPages(parts),
];
