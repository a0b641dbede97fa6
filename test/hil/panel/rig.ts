/** A panel with its server on a free port, and pages that talk to it, for the tests of this folder. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { silentLog } from '../../../daemon/log.ts';
import type { ControlEvent, Frame, PanelSpec, Rgb, Strip } from '../../../daemon/surface/types.ts';
import type { HealthReport, PageMessage, ServerMessage } from '../../../hil/sim/panel/messages.ts';
import { createSimPanel, type SimPanel } from '../../../hil/sim/panel/panel.ts';
import {
  type PanelServer,
  type PanelServerOptions,
  startPanelServer,
} from '../../../hil/sim/panel/server.ts';
import { simPanelSpec } from '../../../hil/sim/panel/spec.ts';

/** Remembers what came and lets tests wait for what is to come. */
export class Inbox<T> {
  readonly all: T[] = [];
  #waiting: (() => void)[] = [];

  readonly add = (item: T): void => {
    this.all.push(item);
    for (const check of this.#waiting.splice(0)) check();
  };

  /** Resolves with the first item that fits, past or future. */
  async find<S extends T>(fits: ((item: T) => item is S) | ((item: T) => boolean)): Promise<S> {
    for (;;) {
      const found = this.all.find(fits);
      if (found !== undefined) return found as S;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Resolves when the last of so many items is there. */
  async count(count: number): Promise<readonly T[]> {
    while (this.all.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.all;
  }
}

export const well: HealthReport = { ok: true, parts: { panel: { ok: true, detail: 'open' } } };

export interface Rig {
  readonly panel: SimPanel;
  readonly events: Inbox<ControlEvent>;
  readonly server: PanelServer;
}

/** A started panel and its server. */
export async function startRig(
  options: Partial<PanelServerOptions> = {},
  spec: PanelSpec = simPanelSpec,
): Promise<Rig> {
  const panel = createSimPanel(spec);
  const events = new Inbox<ControlEvent>();
  await panel.start(new AbortController().signal, events.add);
  const server = await startPanelServer({
    host: '127.0.0.1',
    port: 0,
    panel,
    facts: () => ({
      cluster: { isSimulated: true, name: 'sim' },
      kubeconfigPath: '/run/demo/kubeconfig',
      namespace: 'shop',
      trust: { isAttested: false, level: null, sentence: 'by token', pairingCode: null, ekSha256: null },
      versions: { surfaced: '0.0.0' },
    }),
    health: () => well,
    log: silentLog,
    ...options,
  });
  return { panel, events, server };
}

/** A page without a browser. */
export interface Client {
  readonly socket: WebSocket;
  readonly inbox: Inbox<ServerMessage>;
  send(message: PageMessage): void;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
}

/** Connects as a page of the server's own would. */
export async function connect(server: PanelServer): Promise<Client> {
  const origin = `http://127.0.0.1:${server.port}`;
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, { origin });
  const inbox = new Inbox<ServerMessage>();
  socket.on('message', (data) => inbox.add(JSON.parse(String(data)) as ServerMessage));
  socket.on('error', () => {});
  const closed = once(socket, 'close').then(([code]) => code as number);
  await inbox.find((message) => message.type === 'hello');
  return { socket, inbox, closed, send: (message) => socket.send(JSON.stringify(message)) };
}

/** A strip that is well. */
export function strip(control: string, over: Partial<Strip> = {}): Strip {
  return {
    slot: 0,
    control,
    name: 'cart',
    kind: 'Deployment',
    hue: [0, 158, 115],
    min: 1,
    max: 11,
    desired: 3,
    observed: 3,
    ready: 3,
    wanted: null,
    hint: null,
    condition: { state: 'ok', reason: '', message: '' },
    owner: null,
    isControlMissing: false,
    arming: null,
    notice: null,
    ...over,
  };
}

/** A frame with some lights on: cells count from the top left. */
export function frame(over: Partial<Frame> = {}, lights: ReadonlyMap<number, Rgb> = new Map()): Frame {
  const rgb = new Uint8Array(8 * 8 * 3);
  for (const [cell, value] of lights) rgb.set(value, cell * 3);
  return {
    matrix: { width: 8, height: 8, rgb },
    controls: new Map(),
    strips: [],
    bank: { index: 0, count: 1 },
    link: { state: 'online', detail: '', isAttested: false },
    isLocked: false,
    isAnimated: false,
    ...over,
  };
}
