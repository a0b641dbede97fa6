/** Whether the CustomResourceDefinitions in the cluster are those of this version of the gateway. */
import type { KubeAccess } from '../../kube/access.ts';
import { fields, text } from '../../kube/read.ts';
import { KubeError } from '../../kube/types.ts';
import { definitionHashes, schemaAnnotation } from './definition-hashes.ts';

/** One definition that does not fit. */
export interface DefinitionProblem {
  readonly source: string;
  readonly message: string;
}

/**
 * Looks at the definitions. One that may not be read is not complained about: that right is for comfort only.
 * @throws KubeError when the API server does not answer
 */
export async function checkDefinitions(
  access: KubeAccess,
  signal: AbortSignal,
): Promise<readonly DefinitionProblem[]> {
  const problems: DefinitionProblem[] = [];
  for (const [name, expected] of Object.entries(definitionHashes)) {
    const source = `CustomResourceDefinition ${name}`;
    try {
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
      const { annotations } = fields(fields(await access.get(path, signal)).metadata);
      if (text(fields(annotations)[schemaAnnotation], 64) !== expected)
        problems.push({
          source,
          message:
            'is not that of this version of the gateway: fields that it does not know are dropped without a word; kubectl apply -k deploy/crd, from the same version',
        });
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.status === 404)
        problems.push({ source, message: 'is not installed: kubectl apply -k deploy/crd' });
      else if (error.status !== 401 && error.status !== 403) throw error;
    }
  }
  return problems;
}
