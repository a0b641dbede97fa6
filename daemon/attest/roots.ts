/** The CA certificates of TPM vendors that an operator has put into a folder: PEM, one or more a file, or DER. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { readBounded } from '../config/read-bounded.ts';
import { type Certificate, readCertificate } from './certificates/certificate.ts';

const mostFiles = 1000;
/** As much as the bundles of all vendors together need. */
const mostFileBytes = 4 * 1024 * 1024;
const pemBlock = /-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g;

/** What can be used of the folder, and what not. */
export interface Roots {
  readonly certificates: readonly Certificate[];
  readonly problems: readonly { readonly source: string; readonly message: string }[];
}

/**
 * Reads all files of the folder whose names do not begin with a dot. What cannot be read is a problem and no more: without
 * a root fewer TPMs are accepted, never others.
 * @param folder null: there are none
 */
export async function readRoots(folder: string | null): Promise<Roots> {
  const certificates = new Map<string, Certificate>();
  const problems: { source: string; message: string }[] = [];
  const tell = (source: string, problem: unknown): void => {
    problems.push({ source, message: problem instanceof Error ? problem.message : String(problem) });
  };
  /** One that cannot be read does not take the others of its file along. */
  const add = (file: string, der: Buffer): void => {
    try {
      const certificate = readCertificate(der);
      certificates.set(certificate.sha256, certificate);
    } catch (problem) {
      tell(file, problem);
    }
  };
  let names: string[] = [];
  try {
    if (folder !== null) names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch (problem) {
    tell(folder ?? '', problem);
  }
  if (names.length > mostFiles) tell(folder ?? '', `more than ${mostFiles} files; the rest is left out`);
  for (const name of names.slice(0, mostFiles)) {
    const file = path.join(folder ?? '', name);
    try {
      for (const der of certificatesIn(await readBounded(file, mostFileBytes))) add(file, der);
    } catch (problem) {
      tell(file, problem);
    }
  }
  return { certificates: [...certificates.values()], problems };
}

function certificatesIn(bytes: Buffer): Buffer[] {
  const blocks = [...bytes.toString('latin1').matchAll(pemBlock)];
  return blocks.length === 0 ? [bytes] : blocks.map(([, base64 = '']) => Buffer.from(base64, 'base64'));
}
