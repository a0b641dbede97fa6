/** Buffers that many structures share (TPM 2.0 Part 2, sections 10.4 and 10.5), with the bounds of real TPMs. */
import { buffer } from '../codec.ts';

/** TPM2B_DIGEST, TPM2B_NONCE, TPM2B_AUTH: no hash of today is longer. */
export const digestBuffer = buffer('TPM2B_DIGEST', 64);
/** TPM2B_DATA: a TPMT_HA of the largest hash. */
export const dataBuffer = buffer('TPM2B_DATA', 66);
/** TPM2B_NAME: an algorithm and its digest, or a handle. */
export const nameBuffer = buffer('TPM2B_NAME', 66);
/** TPM2B_MAX_BUFFER, TPM2B_EVENT, TPM2B_MAX_NV_BUFFER: bounded by the largest command, 4096 bytes. */
export const maxBuffer = buffer('TPM2B_MAX_BUFFER', 4096);
/** TPM2B_SENSITIVE_DATA. */
export const sensitiveData = buffer('TPM2B_SENSITIVE_DATA', 256);
/** TPM2B_PRIVATE, TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET, context blobs: opaque, bounded by the largest command. */
export const opaqueBuffer = buffer('opaque buffer', 4096);
