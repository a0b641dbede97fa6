/**
 * What a container image is made of, by the OCI image specification 1.1 (github.com/opencontainers/image-spec): config, manifest
 * and index as JSON, each named by the hash of its bytes. Pure: the same parts give the same bytes.
 */
import { createHash } from 'node:crypto';
import type { Architecture } from '../package/architectures.ts';

/** Media types of the specification, and that of an SBOM (CycloneDX 1.6). */
export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  empty: 'application/vnd.oci.empty.v1+json',
  sbom: 'application/vnd.cyclonedx+json',
} as const;

/** User and group of the process: those of nobody else on a node. */
export const containerUser = 65_532;

/** Names some bytes (image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly platform?: { readonly architecture: Architecture; readonly os: 'linux' };
}

/** Bytes and their name. */
export interface Blob {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** A layer that is packed. */
export interface Layer {
  readonly descriptor: Descriptor;
  /** Hash of the tar before it was compressed. */
  readonly diffId: string;
  /** What it is, in one line of the history. */
  readonly comment: string;
}

/** What is said of an image, beside what is in it. */
export interface ImageFacts {
  readonly version: string;
  /** Null: the sources are no checkout of git. */
  readonly commit: string | null;
  /** Seconds; every time in the image is this one. */
  readonly epoch: number;
}

/** Some bytes as a blob. */
export function blobOf(mediaType: string, bytes: Uint8Array): Blob {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { descriptor: { mediaType, digest, size: bytes.byteLength }, bytes };
}

const jsonBlob = (mediaType: string, value: unknown): Blob =>
  blobOf(mediaType, Buffer.from(JSON.stringify(value)));

const timeOf = ({ epoch }: ImageFacts): string => new Date(epoch * 1_000).toISOString().replace('.000Z', 'Z');

/** The annotations of the specification (annotations.md) that are known; labels of the config are the same. */
export function annotationsOf(facts: ImageFacts): Record<string, string> {
  return {
    'org.opencontainers.image.title': 'surfaced-gateway',
    'org.opencontainers.image.description':
      'Gateway of physical control surfaces for Kubernetes: broker, verifier and Kubernetes client',
    'org.opencontainers.image.version': facts.version,
    ...(facts.commit !== null && { 'org.opencontainers.image.revision': facts.commit }),
    'org.opencontainers.image.created': timeOf(facts),
    'org.opencontainers.image.licenses': 'Apache-2.0',
  };
}

/** The image of one architecture: its config, its manifest and the SBOM that refers to it. */
export function imageOf(options: {
  readonly facts: ImageFacts;
  readonly architecture: Architecture;
  readonly layers: readonly Layer[];
  /** The text of its SBOM. */
  readonly sbom: string;
}): { readonly manifest: Descriptor; readonly sbom: Descriptor; readonly blobs: readonly Blob[] } {
  const { facts, architecture, layers } = options;
  const annotations = annotationsOf(facts);
  const created = timeOf(facts);
  const config = jsonBlob(mediaTypes.config, {
    created,
    architecture,
    os: 'linux',
    config: {
      // Numbers, so that `runAsNonRoot` of Kubernetes can be checked without looking into the image.
      User: `${containerUser}:${containerUser}`,
      ExposedPorts: { '8443/tcp': {}, '8883/tcp': {}, '9101/tcp': {} },
      Env: ['PATH=/usr/bin', 'HOME=/var/lib/surfaced', 'NODE_ENV=production'],
      Entrypoint: ['/usr/bin/surfaced'],
      Cmd: ['gateway', '--config', '/etc/surfaced/gateway.yaml'],
      WorkingDir: '/',
      Labels: annotations,
      StopSignal: 'SIGTERM',
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ comment }) => ({ created, created_by: 'npm run oci', comment })),
  });
  const manifest = jsonBlob(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    annotations,
  });
  const bill = blobOf(mediaTypes.sbom, Buffer.from(options.sbom));
  const empty = blobOf(mediaTypes.empty, Buffer.from('{}'));
  // A manifest with a subject is found by whoever asks a registry what refers to the image.
  const attached = jsonBlob(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.sbom,
    config: empty.descriptor,
    layers: [bill.descriptor],
    subject: manifest.descriptor,
    annotations: { 'org.opencontainers.image.created': created },
  });
  return {
    manifest: { ...manifest.descriptor, platform: { architecture, os: 'linux' } },
    sbom: { ...attached.descriptor, artifactType: mediaTypes.sbom },
    blobs: [config, manifest, bill, empty, attached],
  };
}

/** The index of all architectures. */
export function indexOf(facts: ImageFacts, manifests: readonly Descriptor[]): Blob {
  return jsonBlob(mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests,
    annotations: annotationsOf(facts),
  });
}

/** The file `index.json` of a layout (image-layout.md): what is found under which name. */
export function entryOf(named: Descriptor, tag: string, others: readonly Descriptor[]): string {
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [{ ...named, annotations }, ...others],
  });
}
