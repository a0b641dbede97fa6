/** Why a surface cannot work at all, for its panel. docs/first-boot.md has the list of codes. */
import type { PanelConfig } from '../config/panel.ts';
import type { Note, Outcome, Problem } from './outcome.ts';

/** What is known at the end of a start. */
export interface Findings {
  readonly outcome: Outcome;
  /** Text of the Device file in force; null: there is none. */
  readonly device: { readonly needsToken: boolean } | null;
  /** Why the Device file in force is not good any more; null: it is. */
  readonly deviceProblem: string | null;
  readonly tokenProblem: string | null;
  /** Something could not be written. */
  readonly writeProblem: string | null;
  /** Panel of the file that was refused, or of the one in force. */
  readonly panel: PanelConfig | null;
}

/** Null: the surface can work. */
export function problemOf(findings: Findings): Problem | null {
  const { outcome, device, deviceProblem, tokenProblem, writeProblem, panel } = findings;
  const problem = (code: Problem['code'], title: string, detail: string): Problem => ({
    code,
    title,
    detail: oneLine(detail),
    panel,
  });
  if (device !== null && deviceProblem === null) {
    if (!device.needsToken || tokenProblem === null) return null;
    return problem('E6', 'TOKEN NOT OPENED', tokenProblem);
  }
  if (writeProblem !== null) return problem('E4', 'CARD NOT WRITTEN', writeProblem);
  if (outcome.device?.state === 'refused')
    return problem('E1', 'SURFACED.YAML', firstOf(outcome.device.notes) ?? 'it was refused');
  if (deviceProblem !== null) return problem('E5', 'CONFIG TOO OLD', deviceProblem);
  if (outcome.preseed?.state === 'refused' || outcome.preseed?.state === 'partly')
    return problem('E2', 'RPI-PRESEED.TOML', firstOf(outcome.preseed.notes) ?? 'it was refused');
  return problem('E3', 'NO SURFACED.YAML', 'There is no surfaced.yaml on the boot partition.');
}

const firstOf = (notes: readonly Note[]): string | null =>
  notes.find(({ kind }) => kind === 'refused')?.text ?? null;

const oneLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 200);
