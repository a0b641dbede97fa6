/** A shell in a machine, over SSH: one session for all questions, for each new one costs an emulated machine a second. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

/** The server of a machine that starts is not there at once. */
const tryAgainMs = 1_000;
const mostTries = 120;

/** Where it is and who logs in. */
export interface Login {
  /** Of 127.0.0.1. */
  readonly port: number;
  readonly user: string;
  /** File of the private key. */
  readonly keyFile: string;
}

/** A shell that answers one question after the other. */
export class MachineSession {
  readonly #child: ChildProcess;
  #said = '';
  #wake: () => void = () => {};
  #asked = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
      this.#wake();
    });
    child.once('exit', () => this.#wake());
    // A machine that goes off.
    child.stdin?.on('error', () => undefined);
  }

  /** Tries until the machine lets it in; rejects after two minutes. */
  static async open(login: Login): Promise<MachineSession> {
    for (let left = mostTries; ; left--) {
      const session = new MachineSession(startSsh(login));
      try {
        await session.ask('true');
        return session;
      } catch (problem) {
        session.end();
        if (left === 0) throw problem;
      }
      await pause(tryAgainMs);
    }
  }

  /** Resolves with what a line of shell prints; rejects when the session ends. */
  async ask(line: string): Promise<string> {
    const mark = `--end-${++this.#asked}--\n`;
    this.#said = '';
    this.#child.stdin?.write(`${line}; printf '\\n%s\\n' '${mark.trim()}'\n`);
    for (;;) {
      const at = this.#said.indexOf(mark);
      if (at >= 0) return this.#said.slice(0, at).trim();
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`the session ended before "${line}" was answered`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Says a line whose answer never comes, such as that the machine is to go off. */
  async tell(line: string): Promise<void> {
    this.#child.stdin?.write(`${line}\n`);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

function startSsh({ port, user, keyFile }: Login): ChildProcess {
  const options = {
    // A machine that was made a minute ago.
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    IdentitiesOnly: 'yes',
    BatchMode: 'yes',
    ConnectTimeout: '30',
    LogLevel: 'ERROR',
  };
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return spawn('ssh', ['-T', '-i', keyFile, ...words, '-p', String(port), `${user}@127.0.0.1`, 'sh'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}
