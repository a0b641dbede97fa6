/** The end of `runInRig` that is inside the rig's kernel. */

/** Begins the line that is the result; every other line of the output is progress. */
export const resultMark = 'surfaced-bench-result ';

/** What the bench gave to `runInRig`; throws outside of the rig. */
export function rigInput<Input>(): Input {
  const { SURFACED_BENCH_INPUT: input, SURFACED_RIG: rig } = process.env;
  if (rig !== '1' || input === undefined) throw new Error('This part runs inside the virtual rig only');
  return JSON.parse(input) as Input;
}

/** Hands the outcome to the bench, as JSON; called once. Any other line that is printed is progress. */
export function giveResult(result: unknown): void {
  process.stdout.write(`${resultMark}${JSON.stringify(result)}\n`);
}
