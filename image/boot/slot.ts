/** A slot as the card and the bundles hold it: file system, hash tree of dm-verity, footer. */
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import { footerBytes, slotBytes, slotDataBytes } from '../layout.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';

const blockBytes = 4096;
/** The same in every version, so that an update changes only the blocks whose content has changed. */
const fileSystemId = '50a7face-5107-4000-8000-000000000000';

/** What the footer of a slot says. */
export interface Footer {
  readonly version: string;
  /** Of the hash tree, SHA-256, 64 hex digits in lower case. */
  readonly rootHash: string;
  /** 64 hex digits. */
  readonly salt: string;
  /** Blocks of 4096 bytes that the tree covers. */
  readonly dataBlocks: number;
  /** Where the tree begins, bytes from the start of the slot. */
  readonly hashOffset: number;
}

/** The footer, a block. @throws RangeError when the text does not fit or has a line feed in it */
export function footerText({ version, rootHash, salt, dataBlocks, hashOffset }: Footer): Buffer {
  const values = {
    version,
    'root-hash': rootHash,
    salt,
    'data-blocks': dataBlocks,
    'hash-offset': hashOffset,
  };
  const lines = Object.entries(values).map(([name, value]) => {
    if (!/^[\x20-\x7e]+$/.test(String(value))) throw new RangeError(`${name}: not a line of plain text`);
    return `${name}=${value}\n`;
  });
  const text = Buffer.from(`surfaced-slot 1\n${lines.join('')}`);
  if (text.length > footerBytes) throw new RangeError(`${text.length} bytes are too many for a footer`);
  const block = Buffer.alloc(footerBytes);
  text.copy(block);
  return block;
}

/** Reads a footer; null when it is none, or of a form that is not known here. */
export function readFooter(block: Buffer): Footer | null {
  const text = block.subarray(0, footerBytes).toString('latin1').replace(/\0+$/, '');
  const match =
    /^surfaced-slot 1\nversion=([\x20-\x7e]+)\nroot-hash=([0-9a-f]{64})\nsalt=([0-9a-f]{64})\ndata-blocks=(\d{1,12})\nhash-offset=(\d{1,15})\n$/.exec(
      text,
    );
  const [, version, rootHash, salt, dataBlocks, hashOffset] = match ?? [];
  if (version === undefined || rootHash === undefined || salt === undefined) return null;
  return { version, rootHash, salt, dataBlocks: Number(dataBlocks), hashOffset: Number(hashOffset) };
}

/**
 * Makes a slot of the tree `root`, which has its kernel, `/boot/initrd.img` and `/boot/cmdline` by now: the same bytes for
 * the same tree, version and `epoch` (seconds). Rejects with E_IMAGE_STEP, for instance when the tree does not fit.
 */
export async function buildSlot({
  toolbox,
  root,
  version,
  epoch,
  output,
}: {
  readonly toolbox: Toolbox;
  readonly root: string;
  readonly version: string;
  readonly epoch: number;
  readonly output: string;
}): Promise<{ readonly rootHash: string }> {
  const folder = await mkdtemp(path.join(path.dirname(output), '.slot-'));
  try {
    const file = path.join(folder, 'slot');
    await makeFileSystem({ toolbox, root, epoch, file });
    // Not random: a build has no secrets, and its bytes are the same each time.
    const salt = createHash('sha256').update(`surfaced-slot ${version}`).digest('hex');
    const options = ['--no-superblock', '--hash=sha256', `--salt=${salt}`, `--uuid=${fileSystemId}`];
    const blocks = [`--data-block-size=${blockBytes}`, `--hash-block-size=${blockBytes}`];
    const dataBlocks = slotDataBytes / blockBytes;
    const said = await toolbox.run(
      'veritysetup',
      [
        ...['format', ...options, ...blocks, `--data-blocks=${dataBlocks}`],
        ...[`--hash-offset=${slotDataBytes}`, file, file],
      ],
      { binds: [folder] },
    );
    const rootHash = /^Root hash:\s*([0-9a-f]{64})$/m.exec(said)?.[1];
    if (rootHash === undefined)
      throw new SurfacedError('E_IMAGE_STEP', `veritysetup named no root hash: ${said}`);
    await writeFooter(file, { version, rootHash, salt, dataBlocks, hashOffset: slotDataBytes });
    await toolbox.run('mv', [file, output], { binds: [path.dirname(output)] });
    return { rootHash };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** ext4 without journal of exactly the data part, which U-Boot's ext4 can read. */
async function makeFileSystem(options: {
  readonly toolbox: Toolbox;
  readonly root: string;
  readonly epoch: number;
  readonly file: string;
}): Promise<void> {
  const { toolbox, root, epoch, file } = options;
  // By way of an archive: names in order, and no times of the files of this machine.
  const archive = `${file}.tar`;
  const pack = ['--create', '--format=posix', '--sort=name', '--numeric-owner', '--xattrs', '--acls'];
  const times = [`--mtime=@${epoch}`, '--clamp-mtime', '--pax-option=delete=atime,delete=ctime'];
  const binds = [root, path.dirname(file)];
  const from = ['--one-file-system', `--directory=${root}`, '.'];
  await toolbox.run('tar', [...pack, ...times, `--file=${archive}`, ...from], { binds });
  // U-Boot 2025.01 refuses metadata_csum_seed; the others are for file systems that are written to.
  const features = ['has_journal', 'metadata_csum_seed', 'orphan_file', 'resize_inode', 'huge_file'];
  const extended = [`hash_seed=${fileSystemId}`, 'root_owner=0:0', 'lazy_itable_init=0', 'nodiscard'];
  const kind = ['-t', 'ext4', '-b', String(blockBytes), '-m', '0', '-U', fileSystemId, '-L', 'surfaced'];
  const without = features.map((name) => `^${name}`).join(',');
  await toolbox.run(
    'mke2fs',
    [
      ...['-q', ...kind, '-E', extended.join(','), '-O', without, '-d', archive],
      ...[file, `${slotDataBytes / 1024}k`],
    ],
    { binds, env: { SOURCE_DATE_EPOCH: String(epoch) } },
  );
  await rm(archive);
}

async function writeFooter(file: string, footer: Footer): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.truncate(slotBytes);
    await handle.write(footerText(footer), 0, footerBytes, slotBytes - footerBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
