/** What is said of an object when it is made (TPM 2.0 Part 2, sections 11.1.15 and 15.1). */
import { sized, struct, u8, u16, type ValueOf } from '../codec.ts';
import { dataBuffer, digestBuffer, nameBuffer, sensitiveData } from './common.ts';
import { pcrSelections } from './pcr.ts';

/** TPMS_SENSITIVE_CREATE: the authorization value of the new object, and the data of a sealed one. */
const sensitiveCreate = struct({ userAuth: digestBuffer, data: sensitiveData });

/** TPM2B_SENSITIVE_CREATE. */
export const sensitiveCreateBuffer = sized('TPM2B_SENSITIVE_CREATE', sensitiveCreate);

/** TPMS_CREATION_DATA. */
export const creationData = struct({
  pcrSelect: pcrSelections,
  pcrDigest: digestBuffer,
  locality: u8,
  parentNameAlg: u16,
  parentName: nameBuffer,
  parentQualifiedName: nameBuffer,
  outsideInfo: dataBuffer,
});

/** TPMS_CREATION_DATA. */
export type CreationData = ValueOf<typeof creationData>;
