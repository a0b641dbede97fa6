/**
 * A chip server with the plainest chips there are, to try the adapters with nothing else in play:
 * `register-chips.ts SOCKET`. At 0x48 and 0x70: 256 registers behind a pointer that counts up. At 0x7c, the reserved
 * device-ID address: 00 00 00. At 0x50: a bus fault (EIO). At 0x51: an answer that comes when the
 * adapter has given up. Elsewhere nothing acknowledges.
 * Writes each request as a line of JSON to stdout: [bus, address, ["w:0102", "r:4"]].
 */
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';

const noAcknowledge = -121;
const busFault = -5;
const lateAddress = 0x51;
/** The adapters give up after 1000. */
const lateMs = 1_300;

/** One message as the wire protocol of hil/rig/adapters/i2c-link.h has it. */
interface Message {
  readonly isRead: boolean;
  readonly length: number;
  readonly bytes: Buffer;
}

/** Length of the whole request that begins here; null: not all of it has come. */
function requestLength(received: Buffer): number | null {
  if (received.length < 4) return null;
  const length = 4 + received.readUInt32LE(0);
  return received.length < length ? null : length;
}

function messagesOf(request: Buffer): Message[] {
  const messages: Message[] = [];
  let at = 9;
  for (let index = 0; index < request.readUInt8(8); index += 1) {
    const isRead = (request.readUInt8(at) & 1) === 1;
    const length = request.readUInt16LE(at + 1);
    const bytes = request.subarray(at + 3, at + 3 + (isRead ? 0 : length));
    messages.push({ isRead, length, bytes });
    at += 3 + bytes.length;
  }
  if (at !== request.length) throw new Error(`A request of ${request.length} bytes has messages for ${at}`);
  return messages;
}

class RegisterChip {
  readonly #registers = Buffer.alloc(256);
  #pointer = 0;

  transfer(messages: readonly Message[]): Buffer {
    const read: number[] = [];
    for (const { isRead, length, bytes } of messages) {
      if (isRead) for (let index = 0; index < length; index += 1) read.push(this.#registers[this.#next()]!);
      if (bytes.length > 0) this.#pointer = bytes[0]!;
      for (const byte of bytes.subarray(1)) this.#registers[this.#next()] = byte;
    }
    return Buffer.from(read);
  }

  #next(): number {
    const now = this.#pointer;
    this.#pointer = (now + 1) & 0xff;
    return now;
  }
}

const chips = new Map([0x48, 0x70].map((address) => [address, new RegisterChip()]));

/** Result and bytes read. */
function answer(address: number, messages: readonly Message[]): [result: number, read: Buffer] {
  const none = Buffer.alloc(0);
  if (address === lateAddress)
    return [0, Buffer.alloc(messages.at(-1)?.isRead ? messages.at(-1)!.length : 0, 0xee)];
  if (address === 0x50) return [busFault, none];
  if (address === 0x7c) return [0, Buffer.alloc(messages.at(-1)?.isRead ? messages.at(-1)!.length : 0)];
  const chip = chips.get(address);
  return chip === undefined ? [noAcknowledge, none] : [0, chip.transfer(messages)];
}

function serve(socket: Socket): void {
  let received = Buffer.alloc(0);
  // An adapter that goes away in the middle is no business of ours.
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece: Buffer) => {
    received = Buffer.concat([received, piece]);
    for (let length = requestLength(received); length !== null; length = requestLength(received)) {
      const request = received.subarray(0, length);
      received = received.subarray(length);
      const [bus, address] = [request.readUInt16LE(4), request.readUInt16LE(6)];
      const messages = messagesOf(request);
      const words = messages.map((one) =>
        one.isRead ? `r:${one.length}` : `w:${one.bytes.toString('hex')}`,
      );
      process.stdout.write(`${JSON.stringify([bus, address, words])}\n`);
      const reply = answer(address, messages);
      const head = Buffer.alloc(8);
      head.writeUInt32LE(4 + reply[1].length, 0);
      head.writeInt32LE(reply[0], 4);
      const send = () => socket.write(Buffer.concat([head, reply[1]]));
      if (address === lateAddress) setTimeout(send, lateMs);
      else send();
    }
  });
}

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: register-chips.ts SOCKET');
// Left by a server that was killed.
rmSync(path, { force: true });
createServer(serve).listen(path, () => process.stdout.write('listening\n'));
