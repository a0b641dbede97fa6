/** Turns a rotary encoder on two simulated lines. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { pullPath } from './lines.ts';

/** One turn of a knob. */
export interface Turn {
  /** Path of the adapter `quadrature`: Node cannot keep such rates. */
  readonly adapter: string;
  /** Line of contact A. */
  readonly a: number;
  /** Line of contact B. */
  readonly b: number;
  /** Edges of both contacts together, four a period; below zero: the other way round. */
  readonly edges: number;
  /** Asked for; what was reached is in the answer. 1 to about 5000. */
  readonly edgesPerSecond: number;
  /** How often a contact opens again before it rests, 0.1 ms apart. */
  readonly bounces: number;
}

/** How the turn went. */
export interface Turned {
  readonly edges: number;
  readonly seconds: number;
  /** How late the latest edge was, milliseconds: the machine's fault, not the driver's. */
  readonly worstLateMs: number;
}

/** Turns, beginning where the lines are; resolves when the last edge is out. */
export async function turnKnob({ adapter, a, b, edges, edgesPerSecond, bounces }: Turn): Promise<Turned> {
  const { stdout } = await promisify(execFile)(adapter, [
    pullPath(a),
    pullPath(b),
    String(edgesPerSecond),
    String(edges),
    String(bounces),
  ]);
  return JSON.parse(stdout) as Turned;
}
