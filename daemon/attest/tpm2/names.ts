/** Names: what a handle stands for, as authorizations cover it (TPM 2.0 Part 1, section 16). */
import { digest } from './algorithms.ts';
import { encode, u16, u32 } from './codec.ts';
import { type NvPublic, nvPublic } from './structures/nv.ts';
import { encodePublic, type Public } from './structures/public.ts';

function withAlgorithm(hash: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([encode(u16, hash), digest(hash, bytes)]);
}

/**
 * The Name of an object.
 * @throws TpmFormatError when its nameAlg is no hash that is known here
 */
export const nameOfPublic = (area: Public): Buffer => withAlgorithm(area.nameAlg, encodePublic(area));

/** The Name of an NV index, which changes when it is first written. */
export const nameOfNv = (area: NvPublic): Buffer => withAlgorithm(area.nameAlg, encode(nvPublic, area));

/** The Name of a PCR, a hierarchy or a session: its handle. */
export const nameOfHandle = (handle: number): Buffer => encode(u32, handle);

/**
 * The Qualified Name of an object: its Name under that of its parent, up to the hierarchy (Part 1, section 26.5).
 * `parent` is the parent's Qualified Name; of a primary it is the handle of the hierarchy.
 */
export const qualifiedName = (parent: Uint8Array, name: Uint8Array): Buffer =>
  withAlgorithm(Buffer.from(name).readUInt16BE(0), Buffer.concat([parent, name]));
