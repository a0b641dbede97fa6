"""The bench controller at the end of a pseudo-terminal: hil/bench/firmware/protocol.py on hardware that only notes what
it is told. Takes orders as lines of JSON on standard input, says what happened as lines of JSON on standard output.

Orders: ["reset"], ["noise", hex], ["see", hex], ["miss"], ["refuse", words], and for the next so many lines of this end
["drop", n], ["tear", n], ["spoil", n], of the other end ["deafen", n].
"""

import json
import os
import select
import sys
import tty

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import protocol  # noqa: E402


def say(*words):
    print(json.dumps(words), flush=True)


class SimHardware:
    lines = tuple(range(23)) + (26, 27, 28)

    def __init__(self, boot, abilities):
        self.boot = "%08x" % boot
        self.abilities = abilities
        self.seen = b""
        self.held = b""
        self.is_lost = False

    def release(self):
        say("release")

    def line(self, line, level, bounces):
        say("line", line, level, bounces)

    def turn(self, a, levels, period_us, idle):
        if a == 22:
            raise ValueError("no state machine is left")
        say("turn", a, period_us, list(levels))

    def fader(self, line, position):
        say("fader", line, position)

    def sniff(self, sda):
        say("sniff", sda)

    def flush(self):
        self.seen += self.held
        self.held = b""

    def sniffed(self, most):
        if self.is_lost:
            self.is_lost = False
            return None
        piece = self.seen[:most]
        self.seen = self.seen[most:]
        return piece


class Controller:
    def __init__(self):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.boots = 0
        self.left = {"drop": 0, "tear": 0, "spoil": 0, "deafen": 0}
        self.abilities = sys.argv[2].split(",")
        self.reset()
        say("ready", os.ttyname(slave))

    def reset(self):
        self.boots += 1
        self.hardware = SimHardware(self.boots, self.abilities)
        self.core = protocol.Core(self.hardware, self.write)

    def is_next(self, fault):
        if self.left[fault] == 0:
            return False
        self.left[fault] -= 1
        say("fault", fault)
        return True

    def write(self, line):
        if self.is_next("drop"):
            return
        if self.is_next("tear"):
            line = line[: len(line) // 2]
        elif self.is_next("spoil"):
            line = line[:5] + bytes([line[5] ^ 1]) + line[6:]
        os.write(self.master, line)

    def order(self, what, value=None):
        if what == "reset":
            self.reset()
        elif what == "noise":
            os.write(self.master, bytes.fromhex(value))
        elif what == "see":
            # The last bytes stay in the sniffer until it is flushed.
            self.hardware.held += bytes.fromhex(value)
        elif what == "miss":
            self.hardware.is_lost = True
        elif what == "version":
            protocol.VERSION = value
        else:
            self.left[what] = value
        say("done", what)

    def run(self):
        orders = b""
        while True:
            ready, _, _ = select.select([self.master, sys.stdin.fileno()], [], [], 0.02)
            if sys.stdin.fileno() in ready:
                data = os.read(sys.stdin.fileno(), 65536)
                if data == b"":
                    return
                orders += data
                while b"\n" in orders:
                    line, orders = orders.split(b"\n", 1)
                    self.order(*json.loads(line))
            if self.master in ready:
                data = os.read(self.master, 4096)
                if not self.is_next("deafen"):
                    self.core.receive(data)
            self.core.idle()


# Without arguments of its own: lines of hex in, what becomes of them out; for comparing both ends.
if sys.argv[2] == "codec":
    for text in sys.stdin:
        message = protocol.decode(bytes.fromhex(text))
        say(message, protocol.encode(*message).hex() if message else None)
else:
    Controller().run()
