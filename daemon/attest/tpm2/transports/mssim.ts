/** The TPM 2.0 reference simulator's protocol over TCP (TpmTcpProtocol.h of the reference code), which swtpm speaks too. */
import { encode, u32 } from '../codec.ts';
import { headerBytes, mostMessageBytes, TpmTransportError, type Transport } from '../transport.ts';
import { nameOf, Stream, type StreamAddress } from './stream.ts';

/** TPM_SEND_COMMAND: code, locality, length, command. */
const sendCommand = 8;
/** Signals of the platform port. */
const platformSignal = { powerOn: 1, nvOn: 11 } as const;
/** Each part of a reply ends with a word that is zero when all is well. */
const acknowledgeBytes = 4;
/** The platform answers at once. */
const platformMs = 5_000;

function replyLength(received: Buffer): number | null {
  if (received.length < 4) return null;
  const size = received.readUInt32BE(0);
  if (size < headerBytes || size > mostMessageBytes)
    throw new TpmTransportError(`a response that says it has ${size} bytes`);
  return 4 + size + acknowledgeBytes;
}

/** At locality 0. Connects when the first command comes, and anew after each failure. */
export function mssim(address: StreamAddress): Transport {
  const stream = new Stream(address);
  return {
    name: `mssim ${nameOf(address)}`,
    hasResourceManager: false,
    async exchange(command, mostMs) {
      const frame = Buffer.concat([
        encode(u32, sendCommand),
        Buffer.from([0]),
        encode(u32, command.length),
        command,
      ]);
      const reply = await stream.request(frame, replyLength, mostMs);
      if (reply.readUInt32BE(reply.length - acknowledgeBytes) !== 0) {
        stream.close();
        throw new TpmTransportError(`${nameOf(address)}: the simulator did not acknowledge the command`);
      }
      return reply.subarray(4, reply.length - acknowledgeBytes);
    },
    close: async () => stream.close(),
  };
}

/**
 * Turns a simulator on through its platform port, as a power supply does it; TPM2_Startup comes after that.
 * @throws TpmTransportError
 */
export async function powerOn(address: StreamAddress): Promise<void> {
  const stream = new Stream(address);
  try {
    for (const signal of [platformSignal.powerOn, platformSignal.nvOn]) {
      const reply = await stream.request(encode(u32, signal), () => acknowledgeBytes, platformMs);
      if (reply.readUInt32BE(0) !== 0)
        throw new TpmTransportError(`${nameOf(address)}: the simulator refused signal ${signal}`);
    }
  } finally {
    stream.close();
  }
}
