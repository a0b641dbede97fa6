/** All commands, for what reads them instead of sending them: logs, transcripts, stand-ins of a TPM. */
import {
  activateCredential,
  certify,
  certifyCreation,
  getTime,
  hash,
  makeCredential,
  quote,
  sign,
  verifySignature,
} from './attestation.ts';
import type { Command } from './definition.ts';
import {
  getCapability,
  getRandom,
  getTestResult,
  readClock,
  selfTest,
  shutdown,
  startup,
} from './general.ts';
import {
  nvCertify,
  nvDefineSpace,
  nvExtend,
  nvIncrement,
  nvRead,
  nvReadPublic,
  nvUndefineSpace,
  nvWrite,
} from './nv.ts';
import {
  contextLoad,
  contextSave,
  create,
  createLoaded,
  createPrimary,
  dictionaryAttackLockReset,
  dictionaryAttackParameters,
  evictControl,
  flushContext,
  hierarchyChangeAuth,
  load,
  loadExternal,
  readPublic,
  unseal,
} from './objects.ts';
import { pcrEvent, pcrExtend, pcrRead, pcrReset } from './pcrs.ts';
import {
  policyAuthorize,
  policyAuthValue,
  policyCommandCode,
  policyGetDigest,
  policyNv,
  policyOr,
  policyPcr,
  policyRestart,
  policySecret,
  startAuthSession,
} from './policies.ts';

/** A command of which nothing but its table is known. */
export type AnyCommand = Command<string, unknown, unknown>;

/** Every command of this library. */
export const commands: readonly AnyCommand[] = [
  startup,
  shutdown,
  selfTest,
  getTestResult,
  getCapability,
  getRandom,
  readClock,
  pcrRead,
  pcrExtend,
  pcrEvent,
  pcrReset,
  createPrimary,
  create,
  load,
  createLoaded,
  loadExternal,
  readPublic,
  flushContext,
  evictControl,
  contextSave,
  contextLoad,
  unseal,
  hierarchyChangeAuth,
  dictionaryAttackLockReset,
  dictionaryAttackParameters,
  startAuthSession,
  policyRestart,
  policyGetDigest,
  policySecret,
  policyPcr,
  policyOr,
  policyAuthorize,
  policyAuthValue,
  policyCommandCode,
  policyNv,
  makeCredential,
  activateCredential,
  quote,
  certify,
  certifyCreation,
  getTime,
  sign,
  verifySignature,
  hash,
  nvDefineSpace,
  nvUndefineSpace,
  nvReadPublic,
  nvRead,
  nvWrite,
  nvIncrement,
  nvExtend,
  nvCertify,
];

const byCode = new Map(commands.map((command) => [command.code, command]));

/** The command with this TPM_CC, or null when it is none of this library. */
export const commandOf = (code: number): AnyCommand | null => byCode.get(code) ?? null;
