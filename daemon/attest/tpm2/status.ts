/** What a TPM is, and how it does (TPM 2.0 Part 2, section 6.13). */
import { getCapability, getRandom } from './commands/general.ts';
import { handleType, typeOf } from './handles.ts';
import { TpmSessionError } from './session.ts';
import { type CapabilityData, capability, property } from './structures/capability.ts';
import type { PcrSelection } from './structures/pcr.ts';
import type { Executor } from './tpm.ts';

/** Most elements that are asked for at once. */
const askedFor = 64;

/** All values of a capability from `first` on, asked for until there are no more. */
async function all<Kind extends CapabilityData['capability'], Value>(
  executor: Executor,
  kind: Kind,
  first: number,
  read: (data: CapabilityData) => readonly { readonly key: number; readonly value: Value }[],
): Promise<Map<number, Value>> {
  const found = new Map<number, Value>();
  for (let next = first; ; ) {
    const { moreData, capabilityData } = await executor.execute(getCapability, {
      handles: {},
      parameters: { capability: kind, property: next, propertyCount: askedFor },
    });
    if (capabilityData.capability !== kind)
      throw new TpmSessionError(`capability ${capabilityData.capability} was given, ${kind} was asked for`);
    const values = read(capabilityData);
    for (const { key, value } of values) found.set(key, value);
    const last = values.at(-1);
    if (!moreData || last === undefined || last.key < next) return found;
    next = last.key + 1;
  }
}

/**
 * Handles of a kind ({@link handleType}, first byte) that exist now; behind a resource manager only one's own transient
 * ones. Sessions are one kind here, whatever they are for: `hmacSession` gives those that are loaded, `policySession` those
 * that were saved (TPM_HT_LOADED_SESSION, TPM_HT_SAVED_SESSION: Part 2, section 7.2).
 */
export async function handlesOf(executor: Executor, type: number): Promise<readonly number[]> {
  const first = type * 2 ** 24;
  const handles = await all(executor, capability.handles, first, (data) =>
    data.capability === capability.handles ? data.values.map((value) => ({ key: value, value })) : [],
  );
  const isSession = (kind: number) => kind === handleType.hmacSession || kind === handleType.policySession;
  return [...handles.keys()].filter((value) =>
    isSession(type) ? isSession(typeOf(value)) : typeOf(value) === type,
  );
}

/** Properties (TPM_PT) from `first` on, by number. */
export const propertiesFrom = (executor: Executor, first: number): Promise<ReadonlyMap<number, number>> =>
  all(executor, capability.properties, first, (data) =>
    data.capability === capability.properties
      ? data.values.map((entry) => ({ key: entry.property, value: entry.value }))
      : [],
  );

/** Banks of PCRs that are allocated, with their PCRs. */
export async function pcrBanks(executor: Executor): Promise<readonly PcrSelection[]> {
  const { capabilityData } = await executor.execute(getCapability, {
    handles: {},
    parameters: { capability: capability.pcrs, property: 0, propertyCount: 1 },
  });
  if (capabilityData.capability !== capability.pcrs)
    throw new TpmSessionError(`capability ${capabilityData.capability} was given, PCRs were asked for`);
  return capabilityData.values.filter(({ pcrs }) => pcrs.length > 0);
}

/** Who made the TPM, and how it does. */
export interface TpmStatus {
  /** Four letters, e.g. `IFX`. */
  readonly manufacturer: string;
  readonly vendor: string;
  readonly firmware: string;
  /** Wrong authorizations that are counted now, and how many lock the TPM. */
  readonly lockout: { readonly counter: number; readonly most: number; readonly isLocked: boolean };
}

const textOf = (...words: readonly (number | undefined)[]): string =>
  words
    .flatMap((word = 0) => [24, 16, 8, 0].map((shift) => (word >>> shift) & 0xff))
    .filter((byte) => byte >= 0x20 && byte < 0x7f)
    .map((byte) => String.fromCharCode(byte))
    .join('')
    .trim();

/** Asks for all of it. */
export async function statusOf(executor: Executor): Promise<TpmStatus> {
  const fixed = await propertiesFrom(executor, 0x100);
  const variable = await propertiesFrom(executor, 0x200);
  const [high, low] = [fixed.get(property.firmwareVersion1) ?? 0, fixed.get(property.firmwareVersion2) ?? 0];
  return {
    manufacturer: textOf(fixed.get(property.manufacturer)),
    vendor: textOf(
      fixed.get(property.vendorString1),
      fixed.get(property.vendorString2),
      fixed.get(property.vendorString3),
      fixed.get(property.vendorString4),
    ),
    firmware: `${high >>> 16}.${high & 0xffff}.${low >>> 16}.${low & 0xffff}`,
    lockout: {
      counter: variable.get(property.lockoutCounter) ?? 0,
      most: variable.get(property.maxAuthFail) ?? 0,
      isLocked: ((variable.get(property.permanent) ?? 0) & 0x200) !== 0,
    },
  };
}

/** Random bytes of the TPM, as many as are wanted. */
export async function randomOf(executor: Executor, bytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let left = bytes; left > 0; ) {
    const { randomBytes } = await executor.execute(getRandom, {
      handles: {},
      parameters: { bytesRequested: Math.min(left, 64) },
    });
    if (randomBytes.length === 0 || randomBytes.length > left)
      throw new TpmSessionError(`GetRandom gave ${randomBytes.length} bytes, ${left} were asked for`);
    parts.push(randomBytes);
    left -= randomBytes.length;
  }
  return Buffer.concat(parts);
}
