/** Objects that are loaded, and how they come to be. */
import { createPrimary, load, loadExternal, readPublic } from './commands/objects.ts';
import { handle } from './handles.ts';
import { nameOfHandle, nameOfPublic } from './names.ts';
import type { Session } from './session.ts';
import { type Entity, TpmSessionError } from './session.ts';
import type { Public } from './structures/public.ts';
import type { Ticket } from './structures/ticket.ts';
import type { Executor } from './tpm.ts';

const noBytes = new Uint8Array(0);

/** A hierarchy, a PCR or another thing whose Name is its handle. */
export const permanent = (value: number, authValue: Uint8Array = noBytes): Entity => ({
  handle: value,
  name: nameOfHandle(value),
  authValue,
});

/** What stands for no key and no entity. */
export const nullEntity: Entity = permanent(handle.null);

/** An object that is loaded or persistent. */
export interface LoadedObject extends Entity {
  readonly publicArea: Public;
}

/** A key that was made in this TPM, with the TPM's word on how. */
export interface PrimaryKey extends LoadedObject {
  /** TPMS_CREATION_DATA as it came. */
  readonly creationData: Uint8Array;
  readonly creationHash: Uint8Array;
  readonly creationTicket: Ticket;
}

/**
 * Makes a primary key: the same template gives the same key until the hierarchy is cleared. An RSA key can take minutes.
 * @throws TpmError, TpmSessionError
 */
export async function makePrimary(
  executor: Executor,
  options: {
    readonly hierarchy: Entity;
    readonly template: Public;
    readonly authValue?: Uint8Array;
    readonly sessions?: readonly Session[];
  },
): Promise<PrimaryKey> {
  const { hierarchy, template, authValue = noBytes, sessions = [] } = options;
  const made = await executor.execute(createPrimary, {
    handles: { primaryHandle: hierarchy },
    parameters: {
      inSensitive: { userAuth: authValue, data: noBytes },
      inPublic: template,
      outsideInfo: noBytes,
      creationPCR: [],
    },
    sessions,
  });
  return { ...loaded(made.handle, made.outPublic, made.name, authValue), ...creationOf(made) };
}

const creationOf = ({
  creationData,
  creationHash,
  creationTicket,
}: Omit<PrimaryKey, keyof LoadedObject>) => ({
  creationData,
  creationHash,
  creationTicket,
});

/** Loads an object that a parent protects. */
export async function loadObject(
  executor: Executor,
  options: {
    readonly parent: Entity;
    readonly privateArea: Uint8Array;
    readonly publicArea: Public;
    readonly authValue?: Uint8Array;
    readonly authorization?: Session | null;
  },
): Promise<LoadedObject> {
  const { parent, privateArea, publicArea, authValue = noBytes, authorization = null } = options;
  const made = await executor.execute(load, {
    handles: { parentHandle: parent },
    parameters: { inPrivate: privateArea, inPublic: publicArea },
    authorizations: [authorization],
  });
  return loaded(made.handle, publicArea, made.name, authValue);
}

/** Loads a public key from outside, e.g. one whose signature the TPM shall check; tickets need a hierarchy that is not null. */
export async function loadPublic(
  executor: Executor,
  publicArea: Public,
  hierarchy: number = handle.owner,
): Promise<LoadedObject> {
  const made = await executor.execute(loadExternal, {
    handles: {},
    parameters: { inPrivate: noBytes, inPublic: publicArea, hierarchy },
  });
  return loaded(made.handle, publicArea, made.name, noBytes);
}

/** What is at a handle already, e.g. a persistent key. */
export async function objectAt(
  executor: Executor,
  value: number,
  authValue: Uint8Array = noBytes,
): Promise<LoadedObject> {
  // The Name in the command is not covered by anything: none of its handles needs an authorization.
  const entity = { handle: value, name: noBytes, authValue };
  const { outPublic, name } = await executor.execute(readPublic, {
    handles: { objectHandle: entity },
    parameters: {},
  });
  return loaded(value, outPublic, name, authValue);
}

/** The Name is computed, never believed: authorizations and credentials are bound to it. */
function loaded(value: number, publicArea: Public, name: Uint8Array, authValue: Uint8Array): LoadedObject {
  const computed = nameOfPublic(publicArea);
  if (!computed.equals(name))
    throw new TpmSessionError(
      'the Name that the TPM gave is not that of the public area: it was changed on its way',
    );
  return { handle: value, name: computed, authValue, publicArea };
}
