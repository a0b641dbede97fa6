# Messages, and the end of a start that failed. To the kernel's log, which goes to all consoles and into the journal; they
# are as serious as /boot/cmdline lets through.

say() {
  echo "<5>surfaced: $*" >/dev/kmsg
}

warn() {
  echo "<3>surfaced: $*" >/dev/kmsg
}

# stop MESSAGE: the machine starts anew, and U-Boot counts one down when the slot is on trial.
stop() {
  warn "$*. Starting again in 10 s"
  sync
  sleep 10
  reboot -f
  # Nothing may come after: not even when the kernel refuses.
  while :; do sleep 60; done
}

# stop_slot MESSAGE: as `stop`, for what another slot may do better.
stop_slot() {
  if problem=$(SURFACED_BOOT_STATE_DEVICE=/dev/$disk /bin/boot-state set-state "$slot" bad 2>&1); then
    stop "slot $slot: $*. The next start tries the other slot, if there is one"
  fi
  stop "slot $slot: $*. It stays the one that is started: $problem"
}

# wait_for SECONDS COMMAND...: false when the time is over. Says every five seconds what it waits for.
wait_for() {
  left=$(($1 * 10))
  shift
  until "$@"; do
    [ "$left" -gt 0 ] || return 1
    left=$((left - 1))
    [ "$((left % 50))" != 0 ] || say "waiting for: $*"
    sleep 0.1
  done
}
