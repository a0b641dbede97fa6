import { getSystemErrorMap } from 'node:util';

/** The parts of the optional package `koffi` that device files need: readiness, calls of the C library, errno. */
export type KernelPackage = Pick<typeof import('koffi'), 'node' | 'load' | 'errno'>;

/**
 * ioctl(2) with a struct as its argument, which the kernel may change; null is the null pointer.
 * @throws Error with the `code` of the system, such as `EBUSY`
 */
export type Ioctl = (descriptor: number, request: number, argument: Uint8Array | null) => void;

/** Each prototype that koffi is given stays in memory: one a package, however often devices are opened. */
const ioctls = new WeakMap<KernelPackage, Ioctl>();

/** The ioctl of the C library that the process already has. */
export function ioctlOf(koffi: KernelPackage): Ioctl {
  const known = ioctls.get(koffi);
  if (known !== undefined) return known;
  const call = koffi
    .load(null)
    .func('int ioctl(int descriptor, unsigned long request, _Inout_ uint8_t *argument)');
  const ioctl: Ioctl = (descriptor, request, argument) => {
    const result: unknown = call(descriptor, request, argument);
    if (typeof result !== 'number' || result < 0) throw systemError(koffi.errno());
  };
  ioctls.set(koffi, ioctl);
  return ioctl;
}

/** The `code` of a system error such as `ENODEV`; null when it is another error. */
export function systemCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

function systemError(errno: number): Error {
  // libuv numbers the errors of Linux by their negative.
  const [code, words] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  return Object.assign(new Error(`${code}: ${words}`), { code });
}
