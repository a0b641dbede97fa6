import t from 'tap';
import type { TrustState } from '../../../daemon/attest/trust/types.ts';
import {
  binding,
  client,
  clientKubelet,
  csr,
  judgeOf,
  nodePem,
  pod,
  requestPem,
  serving,
  uid,
} from './reviews.ts';

const scheduled = (node: unknown, namespace = 'default') =>
  ({ resource: 'pods', subResource: 'binding', namespace, object: binding(node) }) as const;
const created = (nodeName: string | undefined, namespace = 'default', more = {}) =>
  ({ resource: 'pods', namespace, object: pod(nodeName === undefined ? {} : { nodeName }, more) }) as const;
const certificate = {
  group: 'certificates.k8s.io',
  resource: 'certificatesigningrequests',
  username: 'system:bootstrap:abcdef',
} as const;

t.test('a Pod gets on a node that is trusted now, and on one that needs no attestation', async (t) => {
  const states: Record<string, TrustState> = { desk: 'trusted' };
  const { say } = judgeOf(states);
  for (const ask of [
    scheduled('pi-7'),
    created('pi-7'),
    { ...scheduled('pi-7'), resource: 'bindings', subResource: '' },
  ])
    t.match(say(ask), { uid, allowed: true, auditAnnotations: { surface: 'desk', state: 'trusted' } });
  for (const ask of [scheduled('amd64-1'), created('amd64-1'), created(undefined), created('')])
    t.same(say(ask), { uid, allowed: true }, 'nothing to say');

  // Trust goes and comes between two requests: nothing is remembered.
  const states2: readonly (readonly [TrustState, RegExp])[] = [
    ['stale', /not trusted now \(stale\): see that it is on/],
    ['failed', /\(failed\): surfaced surfaces show desk tells/],
    ['revoked', /\(revoked\): an operator withdrew/],
    ['pending', /\(pending\): start surfaced on it/],
    ['quarantined', /\(quarantined\): approve its TPM/],
  ];
  for (const [state, message] of states2) {
    states.desk = state;
    for (const ask of [
      scheduled('pi-7'),
      created('pi-7'),
      { ...scheduled('pi-7'), resource: 'bindings', subResource: '' },
    ]) {
      const said = say(ask);
      t.match(said, { uid, allowed: false, status: { code: 403, message } }, state);
      t.match(said.status?.message, /^node "pi-7" needs attestation, and its surface "desk"/);
    }
  }
  delete states.desk;
  t.match(
    say(scheduled('pi-7')).status?.message,
    /\(unknown\): approve its TPM: surfaced surfaces approve desk$/,
  );
  states.desk = 'trusted';
  t.ok(say(scheduled('pi-7')).allowed);
});

t.test('with attestedNodes: all, a node that is not listed gets nothing', async (t) => {
  const { say } = judgeOf({ desk: 'trusted' }, {}, true);
  t.ok(say(scheduled('pi-7')).allowed);
  t.match(say(scheduled('amd64-1')), { allowed: false, status: { message: /is not in admission.nodes/ } });
  t.match(say(created('amd64-1')), { allowed: false });
  t.ok(say(created(undefined)).allowed, 'the scheduler has not chosen yet');
  const object = csr(await nodePem('amd64-1'), clientKubelet);
  t.match(say({ ...certificate, object }), {
    allowed: false,
    status: { message: /is not in admission.nodes/ },
  });
});

t.test('a target that cannot be read is refused', async (t) => {
  const { say } = judgeOf({ desk: 'trusted' });
  for (const object of [binding(''), binding(7), binding(undefined), { target: null }, {}, null, 'pi-7', []])
    t.match(say({ ...scheduled('x'), object }), {
      uid,
      allowed: false,
      status: { message: /^binding.* cannot be read/ },
    });
  t.notOk(say({ ...scheduled('x'), object: { target: { kind: 'Pod', name: 'amd64-1' } } }).allowed);
  for (const object of [
    {},
    null,
    { metadata: {}, spec: { containers: 1 } },
    { metadata: {}, spec: { containers: [], nodeName: 7 } },
  ])
    t.match(say({ ...created('x'), object }), {
      allowed: false,
      status: { message: /^pod.* cannot be read/ },
    });
});

t.test('exempt namespaces are let pass, whatever comes of them; nothing else is', async (t) => {
  const { say, judge } = judgeOf({ desk: 'failed' });
  t.same(say(scheduled('pi-7', 'kube-system')), { uid, allowed: true });
  t.same(say({ ...scheduled('x', 'kube-system'), object: null }), { uid, allowed: true });
  t.notOk(say(scheduled('pi-7', 'kube-systems')).allowed);
  t.notOk(say(scheduled('amd64-1', '')).allowed, 'no namespace');
  // The namespace of the request counts, not one that the object claims.
  t.notOk(
    say({ ...created('pi-7'), object: pod({ nodeName: 'pi-7' }, { namespace: 'kube-system' }) }).allowed,
  );
  const object = csr(await nodePem('pi-7'), clientKubelet);
  t.notOk(
    say({ ...certificate, namespace: 'kube-system', object }).allowed,
    'certificates are in no namespace',
  );

  for (const ask of [
    { ...scheduled('pi-7'), operation: 'UPDATE' },
    { ...created(undefined), operation: 'DELETE' },
    { ...created(undefined), subResource: 'exec', operation: 'CONNECT' },
    { ...created(undefined), resource: 'nodes' },
    { ...created(undefined), resource: '__proto__' },
    { ...created(undefined), group: 'apps' },
  ])
    t.match(say(ask), { uid, allowed: false, status: { message: /^surfaced does not judge/ } });

  for (const body of [
    null,
    [],
    'x',
    {},
    { ...reviewOf('admission.k8s.io/v1beta1') },
    { ...reviewOf('admission.k8s.io/v1'), kind: 'Pod' },
    { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid: '' } },
  ])
    t.equal(judge(body).answer, null, 'no uid, no answer');
  t.match(judge(reviewOf('admission.k8s.io/v1')).answer, { response: { uid: 'u', allowed: false } });
});
const reviewOf = (apiVersion: string) => ({ apiVersion, kind: 'AdmissionReview', request: { uid: 'u' } });

t.test('a dry run is answered alike', async (t) => {
  const { say } = judgeOf({ desk: 'failed', rack: 'trusted' });
  for (const ask of [scheduled('pi-7'), scheduled('pi-8'), created('pi-7')])
    t.same(say({ ...ask, dryRun: true }), say(ask));
});

t.test('a static Pod of the kubelet is reported; the annotation alone is not enough', async (t) => {
  const { say } = judgeOf({ desk: 'failed' });
  const annotations = { 'kubernetes.io/config.mirror': '5f3c', 'kubernetes.io/config.source': 'file' };
  const mirror = created('pi-7', 'default', { annotations });
  t.match(say({ ...mirror, username: 'system:node:pi-7' }), {
    allowed: true,
    warnings: [/^node "pi-7" needs attestation/],
    auditAnnotations: { state: 'failed' },
  });
  for (const username of ['system:node:pi-8', 'system:node:', 'kubernetes-admin', ''])
    t.notOk(say({ ...mirror, username }).allowed, username);
  t.notOk(say({ ...created('pi-7'), username: 'system:node:pi-7' }).allowed, 'no mirror');
});

t.test('a certificate for a node is asked for while its surface is trusted', async (t) => {
  const states: Record<string, TrustState> = { desk: 'trusted', rack: 'failed' };
  const { say } = judgeOf(states);
  const ask = (object: unknown, more = {}) => say({ ...certificate, object, ...more });
  for (const signer of [clientKubelet, serving, client]) {
    t.match(ask(csr(await nodePem('pi-7'), signer)), {
      allowed: true,
      auditAnnotations: { surface: 'desk' },
    });
    t.match(ask(csr(await nodePem('pi-8'), signer)), {
      allowed: false,
      status: { message: /"rack" is not trusted/ },
    });
    t.same(ask(csr(await nodePem('amd64-1'), signer)), { uid, allowed: true }, 'needs no attestation');
  }
  t.ok(
    ask(csr(await nodePem('pi-7'), clientKubelet), { username: 'system:node:pi-7' }).allowed,
    'renews its own',
  );
  t.match(ask(csr(await nodePem('pi-7'), clientKubelet), { username: 'system:node:amd64-1' }), {
    allowed: false,
    status: { message: /asks for a certificate of another node/ },
  });
  states.desk = 'stale';
  t.notOk(ask(csr(await nodePem('pi-7'), clientKubelet)).allowed);
});

t.test('a certificate is approved only while its surface is trusted', async (t) => {
  const states: Record<string, TrustState> = { desk: 'trusted' };
  const { say } = judgeOf(states);
  const pem = await nodePem('pi-7');
  const approval = (type: string, spec = {}) => {
    const plain = csr(pem, clientKubelet);
    const conditions = [{ type, status: 'True', reason: 'AutoApproved' }];
    return say({
      ...certificate,
      subResource: 'approval',
      operation: 'UPDATE',
      username: 'system:serviceaccount:kube-system:certificate-controller',
      object: { ...plain, spec: { ...plain.spec, ...spec }, status: { conditions } },
      oldObject: plain,
    });
  };
  t.ok(approval('Approved').allowed);
  t.notOk(
    approval('Approved', { username: 'system:node:pi-8' }).allowed,
    'who asked counts, not who approves',
  );
  states.desk = 'failed';
  t.notOk(approval('Approved').allowed);
  t.ok(approval('Denied').allowed, 'a refusal of it passes');
});

t.test('subjects that are not plainly those of one node are refused', async (t) => {
  const { say } = judgeOf({ desk: 'trusted' });
  const ask = (pem: string, signer: string) => say({ ...certificate, object: csr(pem, signer) });
  const O = { O: ['system:nodes'] };
  const subjects = [
    [{ CN: ['system:node:amd64-1'] }, { CN: ['system:node:pi-7'] }, O],
    [O, { CN: [{ bmpString: 'system:node:päi' }] }],
    [O],
    [O, { CN: ['system:node:'] }],
    [O, { CN: ['System:node:pi-7'] }],
  ];
  for (const subject of subjects)
    for (const signer of [clientKubelet, serving, client])
      t.notOk(ask(await requestPem(subject), signer).allowed, JSON.stringify(subject));
  const alice = await requestPem([{ CN: ['alice'] }, { O: ['developers'] }]);
  t.ok(ask(alice, client).allowed, 'a person');
  t.notOk(ask(alice, clientKubelet).allowed, 'a person is no node');
  t.ok(ask('no request at all', 'example.com/other').allowed, 'another signer makes no nodes');

  const pem = await nodePem('pi-7');
  for (const bad of ['', 'x', pem.replace('CERTIFICATE REQUEST', 'CERTIFICATE'), `x\n${pem}`, `${pem}${pem}`])
    t.match(ask(bad, clientKubelet), { allowed: false, status: { message: /cannot be read/ } });
  const object = csr(pem, clientKubelet);
  for (const request of ['!!!', `${object.spec.request} `, null, 7])
    t.notOk(say({ ...certificate, object: { ...object, spec: { ...object.spec, request } } }).allowed);
});

t.test('a defect in what is asked is a refusal', async (t) => {
  const broken = () => {
    throw new TypeError('a defect');
  };
  const { say } = judgeOf({}, { standingOf: broken });
  t.match(say(scheduled('pi-7')), { uid, allowed: false, status: { message: /^the gateway failed/ } });
  const { say: sayToo } = judgeOf({}, { readSubject: broken });
  t.notOk(sayToo({ ...certificate, object: csr(await nodePem('pi-7'), clientKubelet) }).allowed);
});
