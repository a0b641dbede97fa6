import fc from 'fast-check';
import t from 'tap';
import { binding, clientKubelet, csr, digest, good, judgeOf, nodePem, pod, review } from './reviews.ts';

const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    0,
    '',
    'pi-7',
    'pi-8',
    good,
    [],
    {},
    '__proto__',
    'kube-system',
    'shop',
    true,
  ),
  fc.string(),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Sets one place of a value, found by walking; a copy. */
function withChange(value: unknown, walk: readonly number[], to: unknown): unknown {
  const [step, ...rest] = walk;
  if (step === undefined || typeof value !== 'object' || value === null) return to;
  const keys = Object.keys(value);
  if (keys.length === 0) return to;
  const key = keys[step % keys.length]!;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  copy[key] = withChange(copy[key], rest, to);
  return copy;
}

t.test('any body: an answer with its uid, or none; never an error, never another kind', async () => {
  const { judge } = judgeOf({});
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.jsonValue()), (body) => {
      const { answer } = judge(body);
      return answer === null || answer.response.allowed === false;
    }),
    { numRuns: 500 },
  );
});

/** Node and images that a request asks for, read without the code under test; null: it cannot be told. */
function isHarmless(body: unknown): boolean {
  const { request } = body as { request: Record<string, unknown> };
  if (request.namespace === 'kube-system') return true;
  const { resource, subResource, operation, object } = request as {
    resource: Record<string, unknown>;
    subResource?: unknown;
    operation: unknown;
    object: Record<string, Record<string, unknown>>;
  };
  const what = `${resource.group}/${resource.version}/${resource.resource}/${subResource ?? ''} ${operation}`;
  if (what === '/v1/pods/binding CREATE' || what === '/v1/bindings/ CREATE')
    return typeof object.target?.name === 'string' && !['', 'pi-7', 'pi-8'].includes(object.target.name);
  const { spec } = object;
  if (what === '/v1/pods/ CREATE' || what === '/v1/pods/ UPDATE') {
    const isNodeFine = operation === 'UPDATE' || !['pi-7', 'pi-8'].includes(String(spec?.nodeName));
    const lists = [spec?.containers, spec?.initContainers, spec?.ephemeralContainers] as unknown[][];
    const images = lists.flatMap((list) => list ?? []).map((one) => (one as { image?: unknown }).image);
    const areKnown = images.every((image) => typeof image === 'string' && image.endsWith(`@${digest('a')}`));
    return isNodeFine && (request.namespace !== 'shop' || areKnown);
  }
  const isCsr = what.startsWith('certificates.k8s.io/v1/certificatesigningrequests/');
  // The request itself is for pi-7: only another signer lets it through, or an update that approves nothing.
  return isCsr && (spec?.signerName !== clientKubelet || !what.endsWith('/ CREATE'));
}

t.test('good requests with any field replaced are allowed only when they ask for nothing', async (t) => {
  // No surface is trusted: nothing may be put on pi-7 or pi-8.
  const { judge } = judgeOf({ desk: 'failed' });
  const spec = { nodeName: 'amd64-1', initContainers: [{ name: 'i', image: good }] };
  const reviews = [
    review({ resource: 'pods', namespace: 'shop', object: pod(spec) }),
    review({ resource: 'pods', namespace: 'shop', object: pod({ nodeName: 'pi-7' }) }),
    review({ resource: 'pods', namespace: 'shop', subResource: 'binding', object: binding('pi-7') }),
    review({ resource: 'bindings', namespace: 'default', object: binding('amd64-1') }),
    review({
      group: 'certificates.k8s.io',
      resource: 'certificatesigningrequests',
      object: csr(await nodePem('pi-7'), clientKubelet),
    }),
  ];
  let allowed = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...reviews),
      fc.array(fc.nat(30), { minLength: 2, maxLength: 6 }),
      hostile,
      (whole, walk, to) => {
        const body = withChange(whole, walk, to);
        const { answer } = judge(body);
        if (answer === null || !answer.response.allowed) return true;
        allowed += 1;
        return isHarmless(body);
      },
    ),
    { numRuns: 3000 },
  );
  t.ok(allowed > 50, `${allowed} of 3000 were allowed`);
});
