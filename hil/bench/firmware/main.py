"""Bench controller on a Raspberry Pi Pico (RP2040), MicroPython 1.22 or newer: the hardware behind protocol.py.

Facts of the part: "RP2040 Datasheet", sections 2.5 (DMA), 3 (PIO), 4.5 (PWM); of `rp2`: MicroPython's documentation of
rp2.StateMachine, rp2.DMA and rp2.asm_pio. Not run on the real part.
"""

import gc
import os
import select
import sys
import time
from binascii import hexlify

import rp2
from machine import PWM, Pin
from protocol import Core
from rp2 import PIO
from uctypes import addressof, bytearray_at

# One state machine of PIO 0 for each encoder, as its lines keep their levels only while it has them.
MOST_ENCODERS = 4
# State machine 0 of PIO 1 sniffs; its receiving queue is DMA request 12 (section 2.5.3.1).
SNIFFER = 4
SNIFFER_REQUEST = 12
# 16 KiB, the bits that the DMA counts through before it wraps: 65,536 changes of the bus.
RING_BITS = 14
RING_WORDS = 1 << (RING_BITS - 2)
# Transfers until the DMA stops and is started anew.
COUNT = 0x0FFFFFFF
# A filter of 10 kOhm and 1 uF leaves 3 mV of it (a tenth of a percent), less than the noise of a fader.
PWM_HZ = 30000
# Microseconds from one bounce of a contact to the next.
BOUNCE_US = 200


# A word is two bits of direction (1: pulls low, the output value is always 0) and 30 of microseconds to wait.
@rp2.asm_pio(
    out_init=(PIO.IN_LOW, PIO.IN_LOW), out_shiftdir=PIO.SHIFT_RIGHT, fifo_join=PIO.JOIN_TX
)
def contacts():
    pull()
    out(pindirs, 2)
    out(x, 30)
    label("wait")
    jmp(x_dec, "wait")


# Cycles of `contacts` that are not the waiting, at one a microsecond: pull, out, out, and the last jmp.
CONTACTS_CYCLES = 4


# Every change of SDA and SCL as two bits (SCL << 1 | SDA), sixteen to a word, the first one on top; looks every 32 ns.
@rp2.asm_pio(
    in_shiftdir=PIO.SHIFT_LEFT,
    out_shiftdir=PIO.SHIFT_RIGHT,
    autopush=True,
    push_thresh=32,
    fifo_join=PIO.JOIN_RX,
)
def changes():
    wrap_target()
    label("look")
    mov(osr, pins)
    out(y, 2)
    jmp(x_not_y, "changed")
    jmp("look")
    label("changed")
    in_(y, 2)
    mov(x, y)
    wrap()


class Hardware:
    """Lines, encoders, fader outputs and the sniffer. A line that is free is an input: it moves nothing."""

    # GP23 to GP25 and GP29 are the board's own (Raspberry Pi Pico datasheet, section 2.1).
    lines = tuple(range(23)) + (26, 27, 28)
    abilities = ("line", "quad", "fader", "sniff")

    def __init__(self):
        self.boot = hexlify(os.urandom(4)).decode()
        self.used = set()
        self.faders = {}
        self.encoders = {}
        self.dma = None
        self.machine = None
        # Had once: a heap that is in pieces later would not give so much again. The ring lies on a multiple of its size.
        self.memory = bytearray(2 << RING_BITS)
        self.start = (addressof(self.memory) + (1 << RING_BITS) - 1) >> RING_BITS << RING_BITS
        self.ring = bytearray_at(self.start, 1 << RING_BITS)

    def release(self):
        """Lets go of everything but the faders, which stay where they are, as faders do."""
        self.stop_sniffing()
        for line in self.encoders:
            self.encoders[line].active(0)
            self.used.update((line, line + 1))
        self.encoders = {}
        for line in self.used:
            Pin(line, Pin.IN, pull=None)
        self.used = set()

    def line(self, line, level, bounces):
        self.used.add(line)
        if line in self.faders:
            self.faders.pop(line).deinit()
        for _ in range(bounces):
            self.set(line, level)
            time.sleep_us(BOUNCE_US)
            self.set(line, "free")
            time.sleep_us(BOUNCE_US)
        self.set(line, level)

    def set(self, line, level):
        if level == "free":
            Pin(line, Pin.IN, pull=None)
        else:
            Pin(line, Pin.OUT, value=1 if level == "high" else 0)

    def turn(self, a, levels, period_us, idle):
        """Sends the levels of A and B out, one a period; a late one moves all later ones, none is ever early."""
        machine = self.encoders.get(a)
        if machine is None:
            if len(self.encoders) == MOST_ENCODERS:
                raise ValueError("no state machine is left")
            machine = rp2.StateMachine(
                len(self.encoders), contacts, freq=1000000, out_base=Pin(a)
            )
            machine.active(1)
            self.encoders[a] = machine
        wait = max(0, period_us - CONTACTS_CYCLES)
        gc.collect()
        for level in levels:
            while machine.tx_fifo() == 8:
                idle()
            # The lower pin is the lower bit: A. A contact that is open pulls nothing.
            closed = level ^ 0b11
            machine.put(wait << 2 | (closed & 1) << 1 | closed >> 1)
        while machine.tx_fifo() > 0:
            idle()
        time.sleep_us(period_us)

    def fader(self, line, position):
        if line not in self.faders:
            self.faders[line] = PWM(Pin(line))
            self.faders[line].freq(PWM_HZ)
        self.faders[line].duty_u16(position)

    def sniff(self, sda):
        """Watches SDA, and SCL on the line after it."""
        self.stop_sniffing()
        self.sda = sda
        self.taken = 0
        Pin(sda + 1, Pin.IN, pull=None)
        self.machine = rp2.StateMachine(SNIFFER, changes, in_base=Pin(sda, Pin.IN, pull=None))
        self.dma = rp2.DMA()
        control = self.dma.pack_ctrl(
            inc_read=False, ring_size=RING_BITS, ring_sel=True, treq_sel=SNIFFER_REQUEST
        )
        self.dma.config(read=self.machine, write=self.start, count=COUNT, ctrl=control, trigger=True)
        self.machine.active(1)

    def stop_sniffing(self):
        if self.machine is not None:
            self.machine.active(0)
            self.dma.active(0)
            self.dma.close()
        self.machine = None
        self.dma = None

    def flush(self):
        """Fills the last word up with what the lines are: no change, and none that is held back."""
        for _ in range(16):
            self.machine.exec("in_(y, 2)")

    def sniffed(self, most):
        """Bytes of the ring, little-endian words; None when some were written over, and watching began anew."""
        waiting = COUNT - self.dma.count - self.taken
        first = self.taken % RING_WORDS
        count = min(waiting, RING_WORDS - first, most // 4)
        piece = bytes(memoryview(self.ring)[4 * first : 4 * (first + count)])
        left = self.dma.count
        if COUNT - left - self.taken >= RING_WORDS or left == 0:
            self.sniff(self.sda)
            return None
        self.taken += count
        return piece


def serve(core):
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    while True:
        data = b""
        while len(data) < 64 and poll.poll(0):
            data += sys.stdin.buffer.read(1)
        if data:
            core.receive(data)
        core.idle()


def main():
    hardware = Hardware()
    try:
        serve(Core(hardware, sys.stdout.buffer.write))
    finally:
        # Also when Ctrl-C ends it, as mpremote does: no button stays pressed.
        hardware.release()


main()
