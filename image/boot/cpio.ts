/** Archives in cpio's `newc` form, as the kernel unpacks them (Documentation/driver-api/early-userspace/buffer-format.rst). */

/** One entry of an archive; what belongs to nobody named belongs to root. */
export type Entry =
  | { readonly kind: 'folder'; readonly path: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: Uint8Array;
      readonly isExecutable: boolean;
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

const typeBits = { folder: 0o040000, file: 0o100000, link: 0o120000 } as const;

function permissions(entry: Entry): number {
  if (entry.kind === 'link') return 0o777;
  return entry.kind === 'folder' || entry.isExecutable ? 0o755 : 0o644;
}

const padded = (bytes: Uint8Array): Uint8Array[] => [bytes, Buffer.alloc(-bytes.length & 3)];

function record(name: string, mode: number, inode: number, links: number, time: number, content: Uint8Array) {
  const nameBytes = Buffer.from(`${name}\0`);
  // In order: inode, mode, user, group, links, time, size, four device numbers, length of the name, checksum.
  const fields = [inode, mode, 0, 0, links, time, content.length, 0, 0, 0, 0, nameBytes.length, 0];
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return [...padded(Buffer.concat([Buffer.from(head), nameBytes])), ...padded(content)];
}

/** All folders above these paths. */
const above = (paths: readonly string[]): string[] =>
  paths.flatMap((path) => {
    const names = path.split('/').slice(0, -1);
    return names.map((_, index) => names.slice(0, index + 1).join('/'));
  });

/**
 * The archive of these entries and of the folders above them, in the order of their paths; every time in it is `epoch`
 * (seconds). A path has no slash at its start.
 * @throws RangeError when a path is there twice
 */
export function cpioArchive(entries: readonly Entry[], epoch: number): Buffer {
  const byPath = new Map<string, Entry>();
  for (const path of above(entries.map((entry) => entry.path))) byPath.set(path, { kind: 'folder', path });
  for (const entry of entries) {
    const known = byPath.get(entry.path);
    if (known !== undefined && (known.kind !== 'folder' || entry.kind !== 'folder'))
      throw new RangeError(`${entry.path} is there twice`);
    byPath.set(entry.path, entry);
  }
  const sorted = [...byPath.values()].sort((one, other) =>
    Buffer.compare(Buffer.from(one.path), Buffer.from(other.path)),
  );
  const records = sorted.flatMap((entry, index) => {
    const content =
      entry.kind === 'file' ? entry.content : Buffer.from(entry.kind === 'link' ? entry.target : '');
    const mode = typeBits[entry.kind] | permissions(entry);
    return record(entry.path, mode, index + 1, entry.kind === 'folder' ? 2 : 1, epoch, content);
  });
  return Buffer.concat([...records, ...record('TRAILER!!!', 0, 0, 1, 0, Buffer.alloc(0))]);
}
