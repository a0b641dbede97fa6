"""The bench controller without its hardware: lines of the protocol (../PROTOCOL.md), requests and their replies.

Runs under MicroPython on the controller and under CPython in the tests; imports nothing of a machine.
"""

import binascii

VERSION = 1
# Characters of a line, its newline not counted.
LONGEST = 200
# Bytes of the sniffer in one event: 160 characters of base64.
PIECE = 120
# A turn holds up everything else; nobody turns a knob for longer.
LONGEST_TURN_S = 60
# Levels of contacts A and B (A << 1 | B, 1 is open) clockwise from the rest: A goes before B.
PHASES = (0b11, 0b01, 0b00, 0b10)


def encode(kind, number, words):
    """A line with its newline. Kinds: ? request, = reply, ! event."""
    text = "%s %d %s" % (kind, number, " ".join(words))
    return (text + " *%08x\n" % (binascii.crc32(text.encode()) & 0xFFFFFFFF)).encode()


def decode(line):
    """Kind, number and words of a line without its newline; None when it is not as encode writes it."""
    if len(line) > LONGEST or any(byte < 0x20 or byte > 0x7E for byte in line):
        return None
    words = line.decode().split(" ")
    if len(words) < 4 or "" in words or len(words[0]) != 1 or words[0] not in "?=!":
        return None
    if not words[1].isdigit() or len(words[1]) > 5 or int(words[1]) > 0xFFFF:
        return None
    kind, number, words = words[0], int(words[1]), words[2:-1]
    # What it says must be what it would be written as: the sum, and no other way to write the number.
    return (kind, number, words) if encode(kind, number, words)[:-1] == line else None


class LineReader:
    """Cuts bytes into lines; one that is too long is left out up to its end."""

    def __init__(self):
        self.line = b""
        self.is_too_long = False

    def feed(self, data):
        pieces = data.split(b"\n")
        lines = [self._end(piece) for piece in pieces[:-1]]
        self._add(pieces[-1])
        return [line for line in lines if line is not None]

    def _add(self, piece):
        self.is_too_long = self.is_too_long or len(self.line) + len(piece) > LONGEST
        self.line = b"" if self.is_too_long else self.line + piece

    def _end(self, piece):
        self._add(piece)
        line = None if self.is_too_long or self.line == b"" else self.line
        self.line = b""
        self.is_too_long = False
        return line


class Refused(Exception):
    """A request that is answered with err; the words say why."""


def integer(words, index, low, high):
    text = words[index]
    digits = text[1:] if text.startswith("-") else text
    if not digits.isdigit() or len(digits) > 9 or not low <= int(text) <= high:
        raise Refused("argument", str(index))
    return int(text)


class Core:
    """Answers requests. `hardware` is as in main.py, `write` takes bytes for the other end."""

    def __init__(self, hardware, write):
        self.hardware = hardware
        self.write = write
        self.reader = LineReader()
        self.commands = {
            "line": (3, self.line),
            "quad": (4, self.quad),
            "fader": (2, self.fader),
            "sniff": (1, self.sniff),
            "sync": (0, self.sync),
            "release": (0, self.release),
        }
        # Number and bytes of the last reply; None before a hello.
        self.last = None
        self.events = 0
        self.is_sniffing = False
        # Contact A of an encoder: its contact B, and its place in PHASES.
        self.encoders = {}

    def receive(self, data):
        """Takes bytes as they come; answers every whole request in them."""
        for line in self.reader.feed(data):
            message = decode(line)
            # The other end hears nothing of a line that is no request, and sends it again.
            if message is not None and message[0] == "?":
                self.answer(message[1], message[2])

    def answer(self, number, words):
        if words[0] == "hello" and words[1:] != [str(VERSION)]:
            self.write(encode("=", number, ["err", "version", str(VERSION)]))
            return
        if words[0] == "hello":
            reply = self.hello()
        elif self.last is None:
            # A reset: what the other end believes of the lines is no longer so.
            self.write(encode("=", number, ["err", "hello"]))
            return
        elif self.last[0] == number:
            # The reply was lost, not the request: what was done is not done again.
            self.write(self.last[1])
            return
        else:
            reply = self.perform(words)
        self.last = (number, encode("=", number, reply))
        self.write(self.last[1])

    def perform(self, words):
        count, command = self.commands.get(words[0], (None, None))
        try:
            if command is None:
                raise Refused("command")
            if len(words) - 1 != count:
                raise Refused("arguments", str(count))
            return ["ok"] + (command(words) or [])
        except Refused as refused:
            return ["err"] + list(refused.args)
        except (OSError, ValueError, MemoryError) as error:
            return ["err", "hardware", type(error).__name__]

    def hello(self):
        self.release([])
        self.events = 0
        return ["ok", "surfaced-bench", str(VERSION), self.hardware.boot] + list(self.hardware.abilities)

    def line(self, words):
        line = self.number_of_line(words, 1, None)
        if words[2] not in ("low", "high", "free"):
            raise Refused("argument", "2")
        self.hardware.line(line, words[2], integer(words, 3, 0, 100))

    def number_of_line(self, words, index, encoder):
        """A line that there is, and that belongs to no encoder but the one whose contact A is named."""
        line = integer(words, index, 0, 255)
        owners = [a for a in self.encoders if line in (a, self.encoders[a][0])]
        if line not in self.hardware.lines or owners not in ([], [encoder]):
            raise Refused("argument", str(index))
        return line

    def quad(self, words):
        a = integer(words, 1, 0, 255)
        self.number_of_line(words, 1, a)
        b = self.number_of_line(words, 2, a)
        # The hardware moves two lines at once that are next to each other.
        if b != a + 1:
            raise Refused("argument", "2")
        steps = integer(words, 3, -1000000, 1000000)
        rate = integer(words, 4, 1, 20000)
        if abs(steps) > LONGEST_TURN_S * rate:
            raise Refused("argument", "3")
        phase = self.encoders.get(a, (b, 0))[1]
        way = 1 if steps > 0 else -1
        levels = (PHASES[(phase + way * step) % 4] for step in range(1, abs(steps) + 1))
        self.hardware.turn(a, levels, 1000000 // rate, self.idle)
        self.encoders[a] = (b, (phase + steps) % 4)

    def fader(self, words):
        self.hardware.fader(self.number_of_line(words, 1, None), integer(words, 2, 0, 0xFFFF))

    def sniff(self, words):
        sda = self.number_of_line(words, 1, None)
        if sda + 1 not in self.hardware.lines:
            raise Refused("argument", "1")
        self.hardware.sniff(sda)
        self.is_sniffing = True

    def sync(self, words):
        """What the sniffer saw before this request is sent before the reply."""
        if self.is_sniffing:
            self.hardware.flush()
        # Bounded, for a bus that is never quiet.
        for _ in range(1000):
            if not self.idle():
                return

    def release(self, words):
        self.is_sniffing = False
        self.encoders = {}
        self.hardware.release()

    def idle(self):
        """Sends what the sniffer saw, a piece a call; True when there was some."""
        piece = self.hardware.sniffed(PIECE) if self.is_sniffing else b""
        if piece is None:
            self.event(["lost"])
        elif piece:
            self.event(["i2c", binascii.b2a_base64(piece).decode().strip()])
        return piece is None or len(piece) > 0

    def event(self, words):
        self.write(encode("!", self.events, words))
        self.events = (self.events + 1) & 0xFFFF
