/** Fields that the configuration files have in common. */
import { z } from 'zod';

/** Version of all file formats. */
export const apiVersion = 'surfaced.dev/v1alpha1';

/** A name: of a site, a surface, a policy. */
export const name = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and dashes, at most 63')
  .describe('Name: lower-case letters, digits and dashes.');
/** A name in Kubernetes. */
export const kubeName = z.string().min(1).max(253);
/** What every file begins with, before its `kind`. */
export const head = { apiVersion: z.literal(apiVersion).describe('Version of this file format.') };
/** An address to listen on. */
export const listen = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'address:port, e.g. 0.0.0.0:8443')
  .refine((value) => Number(value.slice(value.lastIndexOf(':') + 1)) <= 65_535, {
    message: 'expected a port from 0 to 65535',
  })
  .describe('Address and port to listen on; port 0 picks a free one.');
/** A SHA-256 in hex. */
export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'SHA-256 in hex, 64 digits in lower case');
/** A path of the file system. */
export const unixPath = z.string().min(1).max(4096);

/** Where a TPM is. */
export const tpmSchema = z
  .strictObject({
    device: unixPath
      .optional()
      .describe('Device file of the kernel resource manager; /dev/tpmrm0 when nothing is given.'),
    swtpm: z
      .string()
      .min(1)
      .optional()
      .describe('A software TPM instead: host:port or path of the data socket of swtpm.'),
    mssim: z
      .string()
      .min(1)
      .optional()
      .describe('The TPM reference simulator instead: host:port of its command port.'),
  })
  // Not over all values: schemas that extend this one keep the check.
  .refine((tpm) => [tpm.device, tpm.swtpm, tpm.mssim].filter((value) => value !== undefined).length <= 1, {
    message: 'give one of device, swtpm and mssim',
  });
