/**
 * Tells systemd how a role is: that it serves, how it is doing, that it is alive and that it ends (sd_notify(3)). Node has no
 * datagram sockets of AF_UNIX: the C library's are called through the optional package `koffi`.
 */
import { closeSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import type { HealthReport } from './health.ts';

/** The parts of the package `koffi` that are used. */
type KoffiPackage = Pick<typeof import('koffi'), 'load' | 'errno'>;

/** Loads the optional package. */
export const loadKoffi = async (): Promise<KoffiPackage> => (await import('koffi')).default;

/** A role that systemd is told of. */
export interface NotifyingRole {
  health(): HealthReport;
  /**
   * Resolves once the role's own loop has gone round; stays open while it does not. It must not depend on the network, nor on
   * anything else outside: systemd restarts a role that is silent for too long.
   */
  pulse(): Promise<void>;
}

/** Where systemd listens. */
export interface ServiceManager {
  /** A role must be heard of within this time, milliseconds; null: there is no watchdog. */
  readonly watchdogMs: number | null;
  /** Sends assignments such as `READY=1`. Does not throw: what goes wrong is reported once. */
  tell(assignments: readonly string[]): void;
}

/** What {@link openServiceManager} needs. */
export interface NotifyOptions {
  /** `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly processId: number;
  readonly loadKoffi: () => Promise<KoffiPackage>;
  /** Told once, in one sentence, that systemd cannot be told. */
  readonly complain: (problem: string) => void;
}

/** The service manager that has started this process; null when there is none, or it cannot be told. */
export async function openServiceManager(options: NotifyOptions): Promise<ServiceManager | null> {
  const { env, processId, loadKoffi, complain } = options;
  const name = env.NOTIFY_SOCKET;
  if (name === undefined || name === '') return null;
  try {
    const send = datagramsTo(socketAddress(name), await loadKoffi());
    let isComplained = false;
    const tell = (assignments: readonly string[]): void => {
      try {
        send(Buffer.from(assignments.join('\n')));
      } catch (error) {
        if (!isComplained) complain(`systemd was not told: ${messageOf(error)}`);
        isComplained = true;
      }
    };
    return { watchdogMs: watchdogOf(env, processId), tell };
  } catch (error) {
    complain(`systemd cannot be told: ${messageOf(error)}`);
    return null;
  }
}

/** How often the status is looked at, milliseconds: somebody may wait for a pairing code. */
const lookEveryMs = 2000;
/** A role ends within 5 s (commands/run.ts), whatever the unit allows; microseconds with a reserve. */
const stopExtensionUs = 8_000_000;

/**
 * Tells that a role serves, then its status whenever it changes and, where systemd watches, that it is alive: at half of the
 * time that it has, each time when its loop has gone round.
 * @returns to be called when the role is asked to end
 */
export function keepTold(role: NotifyingRole, manager: ServiceManager): () => void {
  let status = statusOf(role.health());
  let feedTimer: NodeJS.Timeout | null = null;
  let isEnded = false;
  manager.tell(['READY=1', `STATUS=${status}`]);

  const lookTimer = setInterval(() => {
    const next = statusOf(role.health());
    if (next !== status) manager.tell([`STATUS=${next}`]);
    status = next;
  }, lookEveryMs).unref();

  const feed = async (everyMs: number): Promise<void> => {
    await role.pulse();
    if (isEnded) return;
    manager.tell(['WATCHDOG=1']);
    feedTimer = setTimeout(() => void feed(everyMs), everyMs).unref();
  };
  // Not awaited: a pulse that never comes is what systemd shall notice.
  if (manager.watchdogMs !== null) void feed(manager.watchdogMs / 2);

  return () => {
    if (isEnded) return;
    isEnded = true;
    clearInterval(lookTimer);
    if (feedTimer !== null) clearTimeout(feedTimer);
    manager.tell(['STOPPING=1', `EXTEND_TIMEOUT_USEC=${stopExtensionUs}`, 'STATUS=ends']);
  };
}

/** Longest status, characters: `systemctl status` shows one line. */
const maxStatus = 240;

/** Health in one line, what is not well first. */
export function statusOf({ parts }: HealthReport): string {
  const all = Object.entries(parts);
  const bad = all.filter(([, { ok }]) => !ok).map(([name, { detail }]) => `${name} not ok: ${detail}`);
  const good = all.filter(([, { ok }]) => ok).map(([name, { detail }]) => `${name}: ${detail}`);
  // A line break would begin another assignment.
  const line = [...bad, ...good].join('; ').replace(/\p{Cc}+/gu, ' ');
  return line.length <= maxStatus ? line : `${line.slice(0, maxStatus - 1)}…`;
}

function watchdogOf(env: NotifyOptions['env'], processId: number): number | null {
  const { WATCHDOG_USEC: time = '', WATCHDOG_PID: forProcess } = env;
  if (!/^[1-9]\d{0,15}$/.test(time)) return null;
  // It may be meant for the process that started this one.
  if (forProcess !== undefined && forProcess !== String(processId)) return null;
  return Number(time) / 1000;
}

/** AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC and MSG_NOSIGNAL of Linux on arm64 and x86-64. */
const unixFamily = 1;
const datagramType = 2;
const closeOnExec = 0o2000000;
const noSignal = 0x4000;
/** `sun_path` of struct sockaddr_un, bytes (unix(7)). */
const maxPathBytes = 108;

/** struct sockaddr_un for a path, or for a name that begins with `@`: the abstract socket of that name. */
function socketAddress(name: string): Uint8Array {
  const bytes = Buffer.from(name);
  if (!/^[/@]./.test(name)) throw new Error(`NOTIFY_SOCKET is neither a path nor an abstract name: ${name}`);
  if (bytes.length >= maxPathBytes) throw new Error('NOTIFY_SOCKET is too long');
  const isAbstract = name.startsWith('@');
  if (isAbstract) bytes[0] = 0;
  const family = new Uint8Array(Uint16Array.of(unixFamily).buffer);
  // A path ends with a zero; the length of an abstract name is that of the address.
  return Buffer.concat([family, bytes, new Uint8Array(isAbstract ? 0 : 1)]);
}

/** Sends datagrams to an address, each by a socket of its own, as sd_notify does: systemd may have been started anew. */
function datagramsTo(address: Uint8Array, koffi: KoffiPackage): (message: Uint8Array) => void {
  const library = koffi.load(null);
  const socket = library.func('int socket(int family, int type, int protocol)');
  const sendto = library.func(
    'long sendto(int descriptor, const uint8_t *message, size_t length, int flags, const uint8_t *address, unsigned int addressLength)',
  );
  const check = (result: unknown): number => {
    const number = Number(result);
    if (Number.isNaN(number) || number < 0) throw new Error(wordsOf(koffi.errno()));
    return number;
  };
  return (message) => {
    const descriptor = check(socket(unixFamily, datagramType | closeOnExec, 0));
    try {
      check(sendto(descriptor, message, message.length, noSignal, address, address.length));
    } finally {
      closeSync(descriptor);
    }
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** libuv numbers the errors of Linux by their negative. */
const wordsOf = (errno: number): string => (getSystemErrorMap().get(-errno) ?? [`errno ${errno}`]).join(': ');
