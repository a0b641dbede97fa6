/**
 * The manifest for Raspberry Pi Imager: what to download, and that the image takes `rpi-preseed.toml`. Without it Imager
 * 2 offers no settings for an image. Fields: raspberrypi/rpi-imager, doc/json-schema/os-list-schema.json and
 * doc/os_customisation_formats.md; `rpi-preseed` came with Imager 2.0.11.
 */
import { z } from 'zod';
import type { BoardProfile } from './boards.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const url = z.url({ protocol: /^(?:https?|file)$/ });
const tag = z.string().regex(/^[a-z0-9]+-(?:32|64)bit$/);

/** One image. Sizes are bytes. */
const entrySchema = z.strictObject({
  name: z.string().min(1),
  description: z.string().min(1),
  icon: url,
  url,
  website: url.optional(),
  /** Of what is written to the card; Imager compares `extract_sha256` with it and refuses what differs. */
  extract_size: z.int().positive(),
  extract_sha256: sha256,
  /** Of the file that is downloaded. */
  image_download_size: z.int().positive(),
  image_download_sha256: sha256,
  release_date: z.iso.date(),
  init_format: z.literal('rpi-preseed'),
  architecture: z.literal('armv8'),
  devices: z.array(tag).min(1),
});

/** The fields of Imager's list of systems that are used. */
export const imagerManifestSchema = z.strictObject({
  imager: z.strictObject({
    devices: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          description: z.string().min(1),
          tags: z.array(tag).min(1),
          matching_type: z.literal('inclusive'),
          architecture: z.literal('armv8'),
        }),
      )
      .min(1),
  }),
  os_list: z.array(entrySchema).min(1),
});
/** A manifest of {@link imagerManifestSchema}. */
export type ImagerManifest = z.infer<typeof imagerManifestSchema>;

/** A file of a release: its name, size and hash. */
export interface ReleaseFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** How Imager's own list names the boards behind a tag. */
const families: Readonly<Record<string, { readonly name: string; readonly description: string }>> = {
  'pi3-64bit': {
    name: 'Raspberry Pi 3, Zero 2 W',
    description: 'Raspberry Pi 3 Model B, B+ and A+, Zero 2 W',
  },
  'pi4-64bit': { name: 'Raspberry Pi 4', description: 'Raspberry Pi 4 Model B, 400, Compute Module 4' },
  'pi5-64bit': { name: 'Raspberry Pi 5', description: 'Raspberry Pi 5' },
};

/**
 * The manifest of one release. `base` is the address of the folder that its files are published in, `https:` or, for
 * files on this machine, `file:`. `image` is the image as it is written to the card, `download` the file that is
 * downloaded, which may be the same.
 * @throws ZodError when a field is not as Imager wants it
 */
export function imagerManifest({
  profile,
  version,
  epoch,
  base,
  image,
  download,
  icon,
}: {
  readonly profile: BoardProfile;
  readonly version: string;
  readonly epoch: number;
  readonly base: URL;
  readonly image: ReleaseFile;
  readonly download: ReleaseFile;
  readonly icon: string;
}): ImagerManifest {
  const folder = base.href.endsWith('/') ? base : new URL(`${base.href}/`);
  const at = (name: string): string => new URL(encodeURIComponent(name), folder).href;
  const tags = [...new Set(profile.boards.map(({ imagerTag }) => imagerTag))];
  return imagerManifestSchema.parse({
    imager: {
      devices: tags.map((name) => ({
        ...families[name],
        tags: [name],
        matching_type: 'inclusive',
        architecture: 'armv8',
      })),
    },
    os_list: [
      {
        name: `surfaced ${version}`,
        description: `A control surface for Kubernetes, for ${profile.title}`,
        icon: at(icon),
        url: at(download.name),
        extract_size: image.bytes,
        extract_sha256: image.sha256,
        image_download_size: download.bytes,
        image_download_sha256: download.sha256,
        release_date: new Date(epoch * 1_000).toISOString().slice(0, 10),
        init_format: 'rpi-preseed',
        architecture: 'armv8',
        devices: tags,
      },
    ],
  });
}
