/** A system for tests: the scripts of the image in a root of their own, rauc and systemctl as functions. */
import { spawnSync } from 'node:child_process';
import type { Host } from '../../daemon/update/host.ts';
import { Sandbox } from '../image/update/sandbox.ts';

type Answer = { readonly code?: number; readonly stdout?: string; readonly text?: string };

export class FakeHost implements Host {
  readonly sandbox: Sandbox;
  readonly root: string;
  /** Programs that were run, without those of the root. */
  readonly ran: string[] = [];
  /** Answers to programs by their first words; the longest that fits counts. Not there: done, nothing said. */
  readonly answers = new Map<string, (onLine: ((line: string) => void) | null) => Answer>();
  now = 0;
  /** Called when time passes. */
  onSleep: () => void = () => undefined;

  constructor(version = '1.2.0') {
    this.sandbox = new Sandbox(version);
    this.root = this.sandbox.root;
  }

  run: Host['run'] = async (command, { onLine, signal }) => {
    signal.throwIfAborted();
    if (command[0].startsWith(this.root)) {
      const env = { PATH: process.env.PATH ?? '', SURFACED_ROOT: this.root };
      const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), { env, encoding: 'utf8' });
      return { code: status, stdout, text: stdout + stderr };
    }
    const line = command.join(' ');
    this.ran.push(line);
    const [name] = [...this.answers.keys()]
      .filter((one) => line.startsWith(one))
      .sort((a, b) => b.length - a.length);
    const { code = 0, stdout = '', text = stdout } = (name && this.answers.get(name)?.(onLine)) || {};
    return { code, stdout, text };
  };

  monotonic = (): number => this.now;

  sleep: Host['sleep'] = async (ms, signal) => {
    signal.throwIfAborted();
    this.now += ms;
    this.onSleep();
  };

  end(): void {
    this.sandbox.end();
  }
}
