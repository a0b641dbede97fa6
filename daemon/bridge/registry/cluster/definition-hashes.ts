/** Made by `npm run schemas`: what deploy/crd is of this version; changes here are lost. */

/** Annotation of a CustomResourceDefinition that holds its hash. */
export const schemaAnnotation = 'surfaced.dev/schema';

/** Hash of each definition, by its name. */
export const definitionHashes: Readonly<Record<string, string>> = {
  'controlsurfaces.surfaced.dev': '7a51b40c7e6d626b',
  'surfacerequests.surfaced.dev': '8c76d53efedd8815',
};
