/** `surfaced show-problem`: the panel says why the surface cannot work. */
import { z } from 'zod';
import { panelSchema } from '../config/panel.ts';
import { SurfacedError } from '../errors.ts';
import type { Problem } from '../first-boot/outcome.ts';
import { systemMachine } from '../hw/doctor/system.ts';
import { createPanel, panelFindings } from '../hw/panels.ts';
import type { Log } from '../log.ts';
import type { Panel } from '../surface/types.ts';
import { findPanel } from './find-panel.ts';
import { problemFrame } from './problem-view.ts';

const mostBytes = 64 * 1024;
/** A panel may be plugged in later. */
const lookAgainMs = 5000;

const schema = z.object({
  code: z.enum(['E1', 'E2', 'E3', 'E4', 'E5', 'E6']),
  title: z.string().max(16),
  detail: z.string().max(300),
  panel: z.unknown(),
});

/** What first boot found. @throws SurfacedError E_CFG_READ, E_CFG_INVALID */
export async function readProblem(file: string): Promise<Problem> {
  const { readBounded } = await import('../config/read-bounded.ts');
  const bytes = await readBounded(file, mostBytes);
  try {
    const { panel, ...problem } = schema.parse(JSON.parse(bytes.toString('utf8')));
    const read = panelSchema.safeParse(panel);
    const isGood = read.success && panelFindings(read.data).length === 0;
    return { ...problem, panel: isGood ? read.data : null };
  } catch (cause) {
    throw new SurfacedError('E_CFG_INVALID', `${file}: not what \`surfaced first-boot\` writes`, { cause });
  }
}

/** Shows it until it is stopped; looks for a panel until there is one. @throws SurfacedError E_CFG_READ, E_CFG_INVALID */
export async function runShowProblem(
  file: string,
  log: Log,
  signal: AbortSignal,
): Promise<{ stop(): Promise<void> }> {
  const problem = await readProblem(file);
  const { code, title, detail } = problem;
  log.error({ code, title, detail }, 'this surface cannot work');
  const machine = await systemMachine();
  let isStopped = false;
  let shown: { stop(): Promise<void> } | null = null;
  let timer: NodeJS.Timeout | null = null;
  const look = async (): Promise<void> => {
    const config = problem.panel ?? (await findPanel(machine));
    if (isStopped) return;
    if (config === null) {
      timer = setTimeout(() => void look(), lookAgainMs);
      return;
    }
    const panel = await createPanel(config, { log, openPort: null, random: Math.random });
    shown = showProblem(panel, problem, () => performance.now());
  };
  await look();
  const stop = async (): Promise<void> => {
    isStopped = true;
    if (timer !== null) clearTimeout(timer);
    await shown?.stop();
  };
  if (signal.aborted) await stop();
  return { stop };
}

/**
 * Shows it on a panel.
 * @param now milliseconds that only go forward
 */
export function showProblem(
  panel: Panel,
  problem: Pick<Problem, 'code' | 'title' | 'detail'>,
  now: () => number,
): { stop(): Promise<void> } {
  const ending = new AbortController();
  let timer: NodeJS.Timeout | null = null;
  const draw = (): void => {
    const { frame, untilMs } = problemFrame(panel.spec, problem, now());
    panel.show(frame);
    timer = setTimeout(draw, untilMs);
  };
  draw();
  // It is opened again and again by itself while it is away.
  const started = panel.start(ending.signal, () => {});
  return {
    stop: async () => {
      ending.abort();
      if (timer !== null) clearTimeout(timer);
      await started;
      await panel.stop();
    },
  };
}
