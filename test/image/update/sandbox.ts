/** A root for the scripts of RAUC's handlers: their own files, a boot state in a text file, and a version that runs. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const scripts = fileURLToPath(
  new URL('../../../image/root/files/usr/lib/surfaced/update', import.meta.url),
);
export const transaction = '5e0dcba2-1111-4222-8333-123456789abc';
export const image = 'cd'.repeat(32);

/** Answers as image/boot/boot-state.sh does, from `good`, `trial` and `left` in a file that is shell itself. */
const bootState = `#!/bin/sh
set -eu
file=$SURFACED_ROOT/boot-state
. "$file"
case $1 in
  get-current) echo "$running" ;;
  get-primary) if [ -n "$trial" ] && [ "$left" != 0 ]; then echo "$trial"; else echo "$good"; fi ;;
  get-state) if [ "$2" = "$good" ] || { [ "$2" = "$trial" ] && [ "$left" != 0 ]; }; then echo good; else echo bad; fi ;;
  set-primary) trial=$2 left=3 ;;
  set-state) if [ "$3" = good ]; then good=$2; fi; trial='' left=0 ;;
esac
printf 'running=%s good=%s trial=%s left=%s\\n' "$running" "$good" "$trial" "$left" >"$file"
`;

/** What the boot state says, and which slot runs. */
export interface Boot {
  readonly running: 'a' | 'b';
  readonly good: 'a' | 'b';
  readonly trial: 'a' | 'b' | '';
  readonly left: number;
}
export const normal: Boot = { running: 'a', good: 'a', trial: '', left: 0 };

export class Sandbox {
  readonly root = mkdtempSync(path.join(tmpdir(), 'sd-h-'));

  constructor(version = '1.2.0') {
    for (const name of [
      'etc',
      'run/surfaced/boot',
      'run/surfaced/update',
      'run/surfaced-update',
      'usr/lib/surfaced',
    ])
      mkdirSync(this.at(name), { recursive: true });
    mkdirSync(this.at('data/shared/update'), { recursive: true });
    cpSync(scripts, this.at('usr/lib/surfaced/update'), { recursive: true });
    writeFileSync(this.at('usr/lib/surfaced/boot-state'), bootState, { mode: 0o755 });
    this.runs(version, '11'.repeat(32));
    this.boot(normal);
  }

  at(name: string): string {
    return path.join(this.root, name);
  }

  read(name: string): string {
    return readFileSync(this.at(name), 'utf8');
  }

  runs(version: string, rootHash: string): void {
    writeFileSync(
      this.at('etc/os-release'),
      `NAME="surfaced"\nIMAGE_ID=surfaced\nIMAGE_VERSION=${version}\n`,
    );
    writeFileSync(this.at('run/surfaced/boot/version'), `${version}\n`);
    writeFileSync(this.at('run/surfaced/boot/root-hash'), `${rootHash}\n`);
  }

  boot({ running, good, trial, left }: Boot): void {
    writeFileSync(this.at('boot-state'), `running=${running} good=${good} trial=${trial} left=${left}\n`);
    writeFileSync(this.at('run/surfaced/boot/slot'), `${running}\n`);
  }

  /** What RAUC gives to its handlers. */
  environment(version: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      SURFACED_ROOT: this.root,
      RAUC_META_SURFACED_VERSION: version,
      RAUC_META_SURFACED_ROOT_HASH: 'ab'.repeat(32),
      RAUC_TARGET_SLOTS: '2',
      RAUC_SLOT_BOOTNAME_2: 'b',
      RAUC_IMAGE_DIGEST_2: image,
      RAUC_TRANSACTION_ID: transaction,
      ...more,
    };
  }

  handler(name: 'pre-install' | 'post-install', env: Readonly<Record<string, string>>) {
    const { status, stdout, stderr } = spawnSync(this.at(`usr/lib/surfaced/update/${name}`), {
      env,
      encoding: 'utf8',
    });
    return { status, said: `${stdout}${stderr}`.trim() };
  }

  trial(): string {
    const env = { PATH: process.env.PATH ?? '', SURFACED_ROOT: this.root };
    return execFileSync(this.at('usr/lib/surfaced/update/trial'), { env, encoding: 'utf8' }).trim();
  }

  end(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
