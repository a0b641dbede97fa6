/** The folder of a gateway with the surfaces `desk` and `lab`, for tests of commands that read it. */
import path from 'node:path';
import type { Test } from 'tap';

export const head = 'apiVersion: surfaced.dev/v1alpha1\n';
export const surface = (name: string) => `${head}kind: ControlSurface
metadata: { name: ${name} }
spec:
  # the cart
  bindings:
    - { control: fader1, max: 9, target: { apiVersion: apps/v1, kind: Deployment, namespace: a, name: b } }
`;

export function gateway(t: Test, more = 'policy: { identity: token }\n') {
  const folder = t.testdir({
    'gateway.yaml': `${head}kind: Gateway\nstateDir: state\nregistry: { folder: surfaces }\nenrol: { hosts: [localhost, gateway.example] }\n${more}`,
    surfaces: { 'a.yaml': `${surface('desk')}---\n${surface('lab')}` },
  });
  return { folder, gatewayConfigPath: path.join(folder, 'gateway.yaml') };
}
