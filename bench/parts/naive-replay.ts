/** A part: the least that anybody must do with a list of IMA, the hash chain; nothing is checked, compared or bounded. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { memoryOf } from '../memory.ts';
import { serve } from '../processes.ts';
import { perSecond } from '../statistics.ts';

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** PCR 10 after all entries: pcr u32, SHA-1, name of the template and its data, each with a length u32. */
function chain(list: Buffer): Buffer {
  let pcr: Buffer = Buffer.alloc(32);
  for (let at = 0; at < list.length; ) {
    const data = at + 28 + list.readUInt32LE(at + 24);
    const end = data + 4 + list.readUInt32LE(data);
    pcr = sha256(pcr, sha256(list.subarray(data + 4, end)));
    at = end;
  }
  return pcr;
}

let list: Buffer = Buffer.alloc(0);

serve({
  start: async (file: string) => {
    list = await readFile(file);
  },
  /** PCR 10, hex. */
  value: () => chain(list).toString('hex'),
  /** Replays a second. */
  replay: (forMs: number) => perSecond(() => void chain(list), forMs),
  memory: () => memoryOf(() => void chain(list)),
});
