/** Label and field selectors of list and watch requests. */
import { at } from './json.ts';
import type { KubeObject } from './objects.ts';
import type { Resource } from './resources.ts';
import { badRequest } from './status.ts';

/** Whether a selector names an object. */
export type Matcher = (object: KubeObject) => boolean;

const TOKEN = /\s*(!=|==|=|!|,|\(|\)|[^\s!=,()]+)/y;

/** Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k`. */
export function labelMatcher(selector: string): Matcher {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(selector); found !== null; found = TOKEN.exec(selector)) tokens.push(found[1]!);
  const tests: ((labels: Readonly<Record<string, string>>) => boolean)[] = [];
  let index = 0;
  const take = (): string => tokens[index++] ?? '';
  const identifier = (): string => {
    const token = take();
    if (token === '' || /^[!=,()]/.test(token)) {
      throw badRequest(`unable to parse requirement: found '${token}', expected: identifier`);
    }
    return token;
  };
  const value = (): string => {
    const token = tokens[index];
    if (token === undefined || token === ',') return '';
    return identifier();
  };
  while (index < tokens.length) {
    if (tokens[index] === '!') {
      index++;
      const key = identifier();
      tests.push((labels) => !(key in labels));
    } else {
      const key = identifier();
      const operator = tokens[index];
      if (operator === undefined || operator === ',') {
        tests.push((labels) => key in labels);
      } else if (operator === '=' || operator === '==' || operator === '!=') {
        index++;
        const wanted = value();
        tests.push((labels) => (labels[key] === wanted) === (operator !== '!='));
      } else if (operator === 'in' || operator === 'notin') {
        index++;
        if (take() !== '(') throw badRequest(`unable to parse requirement: found '', expected: '('`);
        const values = new Set<string>();
        while (tokens[index] !== ')') {
          values.add(value());
          if (tokens[index] === ',') index++;
          if (index >= tokens.length)
            throw badRequest(`unable to parse requirement: found '', expected: ')'`);
        }
        index++;
        tests.push(
          (labels) => (labels[key] !== undefined && values.has(labels[key])) === (operator === 'in'),
        );
      } else {
        throw badRequest(
          `unable to parse requirement: found '${operator}', expected: in, notin, =, ==, !=, gt, lt`,
        );
      }
    }
    if (index < tokens.length && take() !== ',') {
      throw badRequest(
        `unable to parse requirement: found '${tokens[index - 1]}', expected: ',' or 'end of string'`,
      );
    }
  }
  return (object) => {
    const labels = object.metadata.labels ?? {};
    return tests.every((test) => test(labels));
  };
}

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'status.phase',
  ],
  events: [
    'involvedObject.apiVersion',
    'involvedObject.fieldPath',
    'involvedObject.kind',
    'involvedObject.name',
    'involvedObject.namespace',
    'involvedObject.resourceVersion',
    'involvedObject.uid',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  replicasets: ['status.replicas'],
  replicationcontrollers: ['status.replicas'],
};

/** Parses `metadata.name=x,status.phase!=Running` for a kind. */
export function fieldMatcher(selector: string, resource: Resource): Matcher {
  const tests: Matcher[] = [];
  for (const part of selector.split(',')) {
    if (part === '') continue;
    const found = /^([^!=]+)(==|=|!=)(.*)$/.exec(part);
    if (found === null) throw badRequest(`invalid selector: '${part}'; can't understand '${part}'`);
    const [, field = '', operator, wanted = ''] = found;
    const isKnown =
      field === 'metadata.name' || field === 'metadata.namespace' || FIELDS[resource.plural]?.includes(field);
    if (isKnown !== true) throw badRequest(`field label not supported: ${field}`);
    const path = field === 'source' ? ['source', 'component'] : field.split('.');
    tests.push((object) => (String(at(object, ...path) ?? '') === wanted) === (operator !== '!='));
  }
  return (object) => tests.every((test) => test(object));
}

/** `a=b,c=d` of a LabelSelector, as status.selector of a Scale has it; empty when there is none. */
export function selectorText(selector: unknown): string {
  const labels = at(selector, 'matchLabels') ?? selector;
  return Object.entries((labels ?? {}) as Record<string, unknown>)
    .filter(([, value]) => typeof value === 'string')
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(',');
}
