import fc from 'fast-check';
import t from 'tap';
import { classOf } from '../../daemon/metrics/api-class.ts';
import { Bound } from '../../daemon/metrics/bound.ts';

t.test('requests by verb and class, as Kubernetes words them', async (t) => {
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['GET', '/readyz', 'get', 'health'],
    ['GET', '/version', 'get', 'health'],
    ['GET', '/apis', 'get', 'discovery'],
    ['GET', '/apis/apps/v1', 'get', 'discovery'],
    ['GET', '/api/v1', 'get', 'discovery'],
    ['GET', '/api/v1/namespaces/shop/pods?limit=500', 'list', 'pods'],
    ['GET', '/api/v1/namespaces/shop/pods?labelSelector=a&watch=1', 'watch', 'pods'],
    ['GET', '/api/v1/pods?watch=true&x=1', 'watch', 'pods'],
    ['GET', '/apis/apps/v1/namespaces/shop/deployments/cart/scale', 'get', 'scale'],
    ['PUT', '/apis/apps/v1/namespaces/shop/deployments/cart/scale?fieldManager=x', 'update', 'scale'],
    ['PATCH', '/apis/surfaced.dev/v1alpha1/namespaces/a/controlsurfaces/desk/status', 'patch', 'status'],
    ['POST', '/api/v1/namespaces/shop/pods/web-1/eviction', 'create', 'eviction'],
    ['DELETE', '/apis/coordination.k8s.io/v1/namespaces/a/leases/x', 'delete', 'leases'],
    ['GET', '/api/v1/nodes/pi-7', 'get', 'nodes'],
    ['GET', '/api/v1/namespaces/shop', 'get', 'other'],
    ['GET', '/apis/example.com/v1/namespaces/shop/rockets', 'list', 'other'],
    ['GET', '/apis/example.com/v1/namespaces/shop/rockets?watched=1', 'list', 'other'],
  ];
  for (const [method, path, verb, resource] of cases)
    t.same(classOf(method, path), { verb, resource }, `${method} ${path}`);
});

t.test('whatever the path, the number of classes has a bound', async (t) => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('api', 'apis', 'v1', 'namespaces', '?')),
        {
          maxLength: 9,
        },
      ),
      fc.constantFrom('GET', 'PUT', 'POST', 'HEAD', 'x'),
      (parts, method) => {
        const { verb, resource } = classOf(method, `/${parts.join('/')}`);
        seen.add(`${verb} ${resource}`);
      },
    ),
  );
  t.ok(seen.size <= 7 * 28, `${seen.size} classes`);
});

t.test('a bound keeps the first and adds up the rest', async (t) => {
  const bound = new Bound(2);
  t.same(
    ['a', 'b', 'c', 'a', 'd'].map((value) => bound.of(value)),
    ['a', 'b', 'other', 'a', 'other'],
  );
});
