/** Which shard a surface belongs to. */
import { createHash } from 'node:crypto';

/**
 * The shard of a surface, 0 up to `count`. It depends on the name and the count alone, so that all gateways agree
 * whatever their version; the remainder of 32 bits is even to one in fifty million.
 */
export function shardOf(surface: string, count: number): number {
  return createHash('sha256').update(surface).digest().readUInt32BE(0) % count;
}
