# What the guests of both rigs have in common, for their init scripts to read: the mounts, and how the program runs.

# File systems of the kernel, loopback; /run and /dev/shm begin empty.
mount_world() {
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  mount -t devtmpfs devtmpfs /dev
  mkdir -p /dev/pts /dev/shm
  mount -t devpts devpts /dev/pts
  mount -t tmpfs -o mode=1777 shm /dev/shm
  mount -t tmpfs -o mode=755 run /run
  mount -t configfs configfs /sys/kernel/config
  mount -t debugfs debugfs /sys/kernel/debug
  mount -t securityfs securityfs /sys/kernel/security
  ln -sfn /proc/self/fd /dev/fd
  hostname rig
  ip link set lo up
}

# Runs the program of the exchange folder, with its output in the file named, and leaves its exit code in the folder. It
# writes to a pipe, not to a terminal or a port, and has a session of its own, so that it cannot stop this script.
run_program() {
  set +e
  mkfifo /run/rig-output
  cat /run/rig-output >"$1" &
  cat=$!
  setsid --wait /bin/sh /run/rig/program </dev/null >/run/rig-output 2>&1
  echo $? >/run/rig/status

  # What the program left running may keep the pipe open; nobody waits for that.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 $cat 2>/dev/null || break
    sleep 0.05
  done
  sync
}
