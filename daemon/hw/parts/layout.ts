/** The matrix of a panel: the box around the lights of all its parts. Pure. */
import type { Finding } from '../../config/findings.ts';
import { overlap, type Region, type Size } from './regions.ts';

/** More lights than this make no panel, and a slip of the finger in `at` would. */
const longestSide = 64;

/** The lights of one part. */
export interface Placed {
  /** Place of the part in `parts`. */
  readonly index: number;
  readonly part: string;
  readonly region: Region;
}

/** The box around all regions; null when there are none. */
export function boxOf(placed: readonly Placed[]): Region | null {
  if (placed.length === 0) return null;
  const x = Math.min(...placed.map(({ region }) => region.x));
  const y = Math.min(...placed.map(({ region }) => region.y));
  const right = Math.max(...placed.map(({ region }) => region.x + region.width));
  const bottom = Math.max(...placed.map(({ region }) => region.y + region.height));
  return { x, y, width: right - x, height: bottom - y, rotate: 0 };
}

/** Lights that lie on each other, and a matrix that is too large. */
export function layoutFindings(placed: readonly Placed[]): Finding[] {
  const findings: Finding[] = [];
  const say = (index: number, message: string) =>
    findings.push({ path: ['parts', index, 'at'], message, isAboutKey: false });
  for (const [place, { index, part, region }] of placed.entries()) {
    const under = placed.slice(0, place).find((other) => overlap(other.region, region));
    if (under !== undefined)
      say(
        index,
        `the lights of ${part} (${sizeOf(region)}) lie on those of ${under.part} (parts.${under.index}, ${sizeOf(under.region)} at ${under.region.x}, ${under.region.y})`,
      );
  }
  const box = boxOf(placed);
  if (box !== null && (box.width > longestSide || box.height > longestSide)) {
    const reach = ({ region }: Placed): number =>
      Math.max(region.x + region.width - box.x, region.y + region.height - box.y);
    const furthest = placed.reduce((far, one) => (reach(one) > reach(far) ? one : far));
    say(
      furthest.index,
      `the matrix would be ${sizeOf(box)} lights, at most ${longestSide} x ${longestSide} are possible`,
    );
  }
  return findings;
}

const sizeOf = ({ width, height }: Size): string => `${width} x ${height}`;
