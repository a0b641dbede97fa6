/** What a surface says, as payloads that fit the wire. Pure. */
import type { ControlSpec, Intent } from '../../surface/types.ts';
import {
  type BirthMessage,
  type CertificateMessage,
  type CommandMessage,
  encode,
  maxMessageBytes,
  type StatusMessage,
  type TeleMessage,
  type UpdateReport,
} from '../wire/messages.ts';
import { wireVersion } from '../wire/topics.ts';

/** Most controls that a birth message names, as its schema has it. */
const maxControls = 64;

/** Statuses of one session in their order: the will is written first but speaks of what comes after. */
const statusSeq = { online: 0, will: 1, farewell: 2 } as const;

/** A status; the will and the farewell both say `offline`, the farewell on purpose. */
export function encodeStatus(session: string, which: keyof typeof statusSeq, at: number): Buffer {
  const message: StatusMessage = {
    v: wireVersion,
    state: which === 'online' ? 'online' : 'offline',
    session,
    seq: statusSeq[which],
    at,
  };
  return encode(message);
}

/** The birth, with as many controls as fit: 64 with long names are more than 4 KiB. */
export function encodeBirth(
  session: string,
  birth: {
    readonly model: string;
    readonly firmware: string;
    readonly controls: readonly Pick<ControlSpec, 'name' | 'kind' | 'hasMotor'>[];
  },
  at: number,
  isSynced: boolean,
): Buffer {
  const controls = birth.controls
    .slice(0, maxControls)
    .map(({ name, kind, hasMotor }) => ({ name, kind, ...(hasMotor ? { hasMotor } : {}) }));
  for (;;) {
    const message: BirthMessage = {
      v: wireVersion,
      session,
      at,
      model: birth.model.slice(0, 64),
      firmware: birth.firmware.slice(0, 64),
      controls,
      clock: isSynced ? 'synced' : 'unset',
    };
    if (Buffer.byteLength(JSON.stringify(message)) <= maxMessageBytes) return encode(message);
    controls.pop();
  }
}

/** @param certificatePem of this connection; of a chain the first */
export function encodeCertificate(certificatePem: string): Buffer {
  const [, base64 = ''] = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(certificatePem) ?? [];
  const message: CertificateMessage = { v: wireVersion, certificate: base64.replace(/\s/g, '') };
  return encode(message);
}

/** @param traceparent null: the command belongs to no trace */
export function encodeCommand(
  id: string,
  intent: Intent,
  when: { readonly issuedAt: number; readonly ttlMs: number },
  traceparent: string | null,
): Buffer {
  const { slot, want, saw, arm } = intent;
  const message: CommandMessage = {
    v: wireVersion,
    id,
    slot,
    want,
    saw,
    ...when,
    ...(arm.length > 0 ? { arm: [...arm] } : {}),
    ...(traceparent !== null && { traceparent }),
  };
  return encode(message);
}

/** @param update how the surface stands to updates, null: not told here */
export function encodeTele(
  at: number,
  counters: Readonly<Record<string, number>>,
  update: UpdateReport | null,
): Buffer {
  const message: TeleMessage = {
    v: wireVersion,
    at,
    counters: { ...counters },
    ...(update && { update: { ...update, detail: update.detail.slice(0, 256) } }),
  };
  return encode(message);
}
