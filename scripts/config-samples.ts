/** Values for the samples in docs/config.md, one file of each kind; whatever is missing here is shown commented out. */
import type { z } from 'zod';
import { apiVersion, type kinds } from '../daemon/config/schema.ts';

type Samples = { readonly [K in keyof typeof kinds]: z.input<(typeof kinds)[K]> };

export const samples: Samples = {
  Device: {
    apiVersion,
    kind: 'Device',
    gateway: {
      url: 'https://gateway.example:8443',
      caPin: `sha256:${'0123456789abcdef'.repeat(4)}`,
    },
    identity: { tokenFile: 'token' },
    panel: {
      preset: 'generic-midi',
      port: { type: 'raw-midi', path: '/dev/snd/midiC1D0' },
      controls: [
        { name: 'fader1', type: 'fader', channel: 1, cc: 7 },
        { name: 'knob1', type: 'encoder', channel: 1, cc: 16, encoding: 'signed-bit-2', pushNote: 32 },
        { name: 'arm', type: 'button', channel: 1, note: 60, hasLight: true },
      ],
      roles: { arm: 'arm' },
    },
    health: { listen: '127.0.0.1:9100' },
  },
  Gateway: {
    apiVersion,
    kind: 'Gateway',
    site: 'home',
    stateDir: '/var/lib/surfaced',
    enrol: { hosts: ['gateway.example', '192.168.1.10'] },
    broker: { mode: 'embedded' },
    registry: { folder: 'surfaces' },
    policy: { identity: 'token' },
    cluster: { kubeconfig: 'kubeconfig' },
    health: { listen: '127.0.0.1:9101' },
  },
  ControlSurface: {
    apiVersion,
    kind: 'ControlSurface',
    metadata: { name: 'desk' },
    spec: {
      bindings: [
        {
          control: 'fader1',
          target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
          name: 'Cart',
          min: 1,
          max: 20,
          colour: 'green',
          takeover: 'pickup',
        },
        {
          control: 'knob1',
          target: { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace: 'shop', name: 'search' },
          min: 0,
          max: 5,
          zero: 'arm',
        },
      ],
    },
  },
  ReferenceSet: {
    apiVersion,
    kind: 'ReferenceSet',
    metadata: { name: 'pi-baseline', version: 1 },
    spec: {
      notAfter: '2027-06-30T00:00:00Z',
      pcrs: [{ pcr: 9, values: ['2b'.repeat(32)] }],
      files: [{ path: '/usr/lib/surfaced/daemon/main.js', sha256: ['6f'.repeat(32)] }],
    },
  },
  Rollout: {
    apiVersion,
    kind: 'Rollout',
    metadata: { name: 'spring' },
    spec: { version: '1.2.0', surfaces: ['desk', 'shelf'], atOnce: 1, stopAfterFailures: 1 },
  },
};
