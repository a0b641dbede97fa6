/** A software TPM's data socket: commands and responses as they are, over TCP or a Unix socket (man swtpm, --server). */
import { headerBytes, mostMessageBytes, TpmTransportError, type Transport } from '../transport.ts';
import { nameOf, Stream, type StreamAddress } from './stream.ts';

/** From the size field of a response's header. */
function responseLength(received: Buffer): number | null {
  if (received.length < headerBytes) return null;
  const size = received.readUInt32BE(2);
  if (size < headerBytes || size > mostMessageBytes)
    throw new TpmTransportError(`a response that says it has ${size} bytes`);
  return size;
}

/**
 * Connects when the first command comes, and anew after each failure. swtpm serves one client at a time: others wait
 * until this one is closed.
 */
export function swtpm(address: StreamAddress): Transport {
  const stream = new Stream(address);
  return {
    name: `swtpm ${nameOf(address)}`,
    hasResourceManager: false,
    exchange: (command, mostMs) => stream.request(command, responseLength, mostMs),
    close: async () => stream.close(),
  };
}
