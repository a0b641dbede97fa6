#!/bin/sh
# The boot state of the card, as boot.cmd reads it: RAUC's boot loader backend (`bootloader=custom`), installed as
# /usr/lib/surfaced/boot-state, and used by the initramfs.
#
#   get-current            the slot that runs: a or b
#   get-primary            the slot that the next start takes
#   set-primary SLOT       the next three starts try SLOT, unless it is the good one
#   get-state SLOT         good: a start may take it; bad: none will by itself
#   set-state SLOT good    SLOT runs well: it is the good one from now on
#   set-state SLOT bad     SLOT is broken, or is about to be written
#
# Two copies of a sector (image/layout.ts): CRC-32 (that of gzip), then texts that end with a zero byte. The first copy is
# on the card and read back before the second one is touched, so a cut leaves one whole.
#
# SURFACED_BOOT_STATE_DEVICE names another device than the card that this system runs from, SURFACED_COMMAND_LINE another
# file than /proc/cmdline.
set -eu

disk_id=50a7face
copies='2048 4096'
tries=3

fail() {
  echo "boot-state: $*" >&2
  exit 1
}

find_device() {
  if [ -n "${SURFACED_BOOT_STATE_DEVICE:-}" ]; then
    device=$SURFACED_BOOT_STATE_DEVICE
    return
  fi
  partition=$(readlink -f "/dev/disk/by-partuuid/$disk_id-01") && [ -b "$partition" ] ||
    fail "no partition $disk_id-01: the card of surfaced is not here"
  disk=$(readlink -f "/sys/class/block/${partition##*/}/..")
  device=/dev/${disk##*/}
}

current_slot() {
  for word in $(cat "${SURFACED_COMMAND_LINE:-/proc/cmdline}"); do
    case $word in
      surfaced.slot=a | surfaced.slot=b) echo "${word#*=}" ;;
    esac
  done
}

hex() {
  od -An -v -tx1 | tr -d ' \n'
}

# read_copy SECTOR
read_copy() {
  dd if="$device" bs=512 skip="$1" count=1 2>/dev/null
}

# The checksum is what gzip ends with, in the same order of bytes.
checksum() {
  gzip -c | tail -c 8 | head -c 4
}

# sector GOOD TRIAL LEFT: checksum and data of a copy
sector_data() {
  {
    printf 'good=%s\0left=%s\0' "$1" "$3"
    [ -z "$2" ] || printf 'trial=%s\0' "$2"
    head -c 508 /dev/zero
  } | head -c 508
}
sector() {
  sector_data "$@" | checksum
  sector_data "$@"
}

# Sets good, trial and left from the first whole copy; what boot.cmd takes for them where there is none.
read_state() {
  good=a trial='' left=0
  for copy in $copies; do
    [ "$(read_copy "$copy" | head -c 4 | hex)" = "$(read_copy "$copy" | tail -c 508 | checksum | hex)" ] || continue
    # Up to the first empty text, as U-Boot reads it.
    for text in $(read_copy "$copy" | tail -c 508 | tr '\0' '\n' | sed '/^$/q'); do
      case $text in
        good=b) good=b ;;
        trial=a | trial=b) trial=${text#*=} ;;
        left=[1-3]) left=${text#*=} ;;
      esac
    done
    return
  done
}

# write_state GOOD TRIAL LEFT: what is so already is not written. Both copies say the same afterwards.
write_state() {
  wanted=$(sector "$@" | hex)
  for copy in $copies; do
    [ "$(read_copy "$copy" | hex)" != "$wanted" ] || continue
    sector "$@" | dd of="$device" bs=512 seek="$copy" count=1 iflag=fullblock conv=notrunc,fsync 2>/dev/null ||
      fail "$device cannot be written"
    # From the card, not from memory.
    [ ! -b "$device" ] || blockdev --flushbufs "$device"
    [ "$(read_copy "$copy" | hex)" = "$wanted" ] || fail "$device does not keep what is written to it"
  done
}

# has_footer SLOT: in its last block (slots end at 740 and at 1380 MiB).
has_footer() {
  end=740
  [ "$1" = a ] || end=1380
  dd if="$device" bs=4096 skip=$((end * 256 - 1)) count=1 2>/dev/null | tr -d '\0' | {
    read -r first || exit 1
    [ "$first" = 'surfaced-slot 1' ] && grep -Eqx 'root-hash=[0-9a-f]{64}'
  }
}

set_primary() {
  if [ "$1" = "$good" ]; then
    # Takes back a trial that has not ended.
    [ "$left" = 0 ] || trial='' left=0
  else
    has_footer "$1" || fail "slot $1 holds no system that could be tried"
    trial=$1 left=$tries
  fi
  write_state "$good" "$trial" "$left"
}

set_good() {
  [ "$1" = "$good" ] || good=$1 trial='' left=0
  write_state "$good" "$trial" "$left"
  # Starts that did not get this far are counted by the initramfs.
  [ -n "${SURFACED_BOOT_STATE_DEVICE:-}" ] || rm -f /data/shared/starts
}

set_bad() {
  other=a
  [ "$1" = b ] || other=b
  if [ "$1" != "$good" ]; then
    trial='' left=0
  elif [ "$(current_slot)" != "$1" ]; then
    # Who says so is about to write it, and it is what a failed trial falls back to.
    fail "slot $1 is the only one that is known to work: wait until slot $other runs well, or mark it good"
  elif [ "$trial" != "$other" ] || [ "$left" = 0 ]; then
    has_footer "$other" || fail "slot $1 is the only one with a system"
    trial=$other left=$tries
  fi
  write_state "$good" "$trial" "$left"
}

for slot in "${2-a}"; do
  case $slot in
    a | b) ;;
    *) fail "$slot is no slot: a or b" ;;
  esac
done
case $*,$# in
  get-current,1)
    slot=$(current_slot)
    [ -n "$slot" ] || fail 'this system was not started from a slot'
    echo "$slot"
    exit
    ;;
esac
find_device
# Of two calls at a time the second one waits; in the initramfs there is one, and no flock.
if command -v flock >/dev/null; then
  exec 9<"$device"
  flock -w 30 9 || fail "$device is in use"
fi
read_state
case $1,$#,${3-} in
  get-primary,1,)
    if [ -n "$trial" ] && [ "$left" != 0 ]; then echo "$trial"; else echo "$good"; fi
    ;;
  get-state,2,)
    if [ "$2" = "$good" ] || { [ "$2" = "$trial" ] && [ "$left" != 0 ]; }; then echo good; else echo bad; fi
    ;;
  set-primary,2,) set_primary "$2" ;;
  set-state,3,good) set_good "$2" ;;
  set-state,3,bad) set_bad "$2" ;;
  *) fail 'get-current | get-primary | set-primary SLOT | get-state SLOT | set-state SLOT good|bad' ;;
esac
