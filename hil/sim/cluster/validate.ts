/** What the API server refuses in an object: 400 when it does not fit the Go type, 422 when it makes no sense. */
import { at, isMap, type JsonMap, listAt, textAt } from './json.ts';
import type { Resource } from './resources.ts';
import { badRequest, invalid } from './status.ts';

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const INT32_MAX = 2 ** 31 - 1;

interface Fault {
  readonly field: string;
  readonly message: string;
}

/** Throws the refusal when an object cannot be kept. */
export function validate(resource: Resource, object: JsonMap): void {
  checkTypes(resource, object);
  const name = textAt(object, 'metadata', 'name');
  const faults: Fault[] = [];
  const isRbac = resource.group === 'rbac.authorization.k8s.io';
  if (name === '') {
    faults.push({ field: 'metadata.name', message: 'Required value: name or generateName is required' });
  } else if (!isRbac && !NAME.test(name)) {
    const rule =
      'a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, ' +
      "'-' or '.', and must start and end with an alphanumeric character " +
      "(e.g. 'example.com', regex used for validation is " +
      "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    faults.push({ field: 'metadata.name', message: `Invalid value: ${JSON.stringify(name)}: ${rule}` });
  }
  faults.push(...workloadFaults(resource, object), ...autoscalerFaults(resource, object));
  if (resource.custom !== null) {
    for (const top of ['spec', 'status']) {
      faults.push(...schemaFaults(at(resource.custom.schema, 'properties', top), object[top], top));
    }
  }
  if (faults.length > 0) throw invalid(resource.kind, resource.group, name, faults);
}

/** Faults of spec.replicas of a Scale. */
export function replicasFault(replicas: number): Fault | null {
  if (replicas >= 0) return null;
  return {
    field: 'spec.replicas',
    message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
  };
}

/** Go's complaint about a JSON value that does not fit an int32, or null when it fits. */
export function int32Complaint(value: unknown, field: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number') {
    const kind = typeof value === 'boolean' ? 'bool' : isMap(value) ? 'object' : typeof value;
    return `json: cannot unmarshal ${kind} into Go struct field ${field} of type int32`;
  }
  if (!Number.isInteger(value) || Math.abs(value) > INT32_MAX) {
    return `json: cannot unmarshal number ${value} into Go struct field ${field} of type int32`;
  }
  return null;
}

const WITH_REPLICAS = ['Deployment', 'ReplicaSet', 'StatefulSet', 'ReplicationController'];

function checkTypes(resource: Resource, object: JsonMap): void {
  if (resource.custom !== null || !WITH_REPLICAS.includes(resource.kind)) return;
  const complaint = int32Complaint(at(object, 'spec', 'replicas'), `${resource.kind}Spec.spec.replicas`);
  if (complaint === null) return;
  throw badRequest(
    `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${complaint}`,
  );
}

function workloadFaults(resource: Resource, object: JsonMap): Fault[] {
  if (resource.custom !== null || !WITH_REPLICAS.includes(resource.kind)) return [];
  const faults: Fault[] = [];
  const replicas = at(object, 'spec', 'replicas');
  const fault = typeof replicas === 'number' ? replicasFault(replicas) : null;
  if (fault !== null) faults.push(fault);
  const selector = at(object, 'spec', 'selector');
  const wanted = resource.kind === 'ReplicationController' ? selector : at(selector, 'matchLabels');
  const labels = at(object, 'spec', 'template', 'metadata', 'labels');
  if (!isMap(selector)) {
    faults.push({ field: 'spec.selector', message: 'Required value' });
  } else if (isMap(wanted) && !Object.entries(wanted).every(([key, value]) => at(labels, key) === value)) {
    faults.push({
      field: 'spec.template.metadata.labels',
      message: `Invalid value: ${JSON.stringify(labels ?? null)}: \`selector\` does not match template \`labels\``,
    });
  }
  if (listAt(object, 'spec', 'template', 'spec', 'containers').length === 0) {
    faults.push({ field: 'spec.template.spec.containers', message: 'Required value' });
  }
  return faults;
}

function autoscalerFaults(resource: Resource, object: JsonMap): Fault[] {
  if (resource.kind !== 'HorizontalPodAutoscaler') return [];
  const [least, most] = [at(object, 'spec', 'minReplicas'), at(object, 'spec', 'maxReplicas')];
  if (typeof least === 'number' && least < 1)
    return [
      {
        field: 'spec.minReplicas',
        message: `Invalid value: ${least}: must be greater than or equal to 1`,
      },
    ];
  if (typeof least === 'number' && typeof most === 'number' && most < least)
    return [
      {
        field: 'spec.maxReplicas',
        message: `Invalid value: ${most}: must be greater than or equal to \`minReplicas\``,
      },
    ];
  return [];
}

/** The part of OpenAPI v3 that CustomResourceDefinitions commonly use. */
function schemaFaults(schema: unknown, value: unknown, field: string): Fault[] {
  if (!isMap(schema) || value === undefined) return [];
  const faults: Fault[] = [];
  const fault = (message: string): void => {
    faults.push({ field, message: `Invalid value: ${JSON.stringify(value)}: ${field} in body ${message}` });
  };
  const { type, minimum, maximum } = schema;
  if (typeof type === 'string' && !fitsType(type, value)) {
    fault(`must be of type ${type}: ${JSON.stringify(typeof value)}`);
    return faults;
  }
  if (typeof value === 'number') {
    if (typeof minimum === 'number' && value < minimum)
      fault(`should be greater than or equal to ${minimum}`);
    if (typeof maximum === 'number' && value > maximum) fault(`should be less than or equal to ${maximum}`);
  }
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) {
    const values = schema.enum.map((one) => JSON.stringify(one)).join(', ');
    faults.push({
      field,
      message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${values}`,
    });
  }
  if (isMap(value)) {
    for (const name of listAt(schema, 'required')) {
      if (typeof name === 'string' && value[name] === undefined) {
        faults.push({ field: `${field}.${name}`, message: 'Required value' });
      }
    }
    for (const [name, inner] of Object.entries(value)) {
      faults.push(...schemaFaults(at(schema, 'properties', name), inner, `${field}.${name}`));
    }
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      faults.push(...schemaFaults(schema.items, item, `${field}[${index}]`));
    }
  }
  return faults;
}

function fitsType(type: string, value: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isMap(value);
    default:
      return typeof value === type;
  }
}
