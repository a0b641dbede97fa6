#!/bin/sh
# First process of the rig's kernel. The host's files are seen read-only through hostfs; a layer in memory above
# them takes all writes, so that nothing inside can change the host. Only the exchange folder, given as `rig=` on
# the kernel's command line, is the host's own: what to run is read there and the outcome is left there.
set -e
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

if [ "$1" != inside ]; then
  mount -t tmpfs -o mode=755 layer /mnt
  mkdir /mnt/upper /mnt/work /mnt/root
  mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work root /mnt/root
  cd /mnt/root
  pivot_root . mnt
  exec chroot . /bin/sh "$0" inside
fi

# The layers stay mounted below the new root, out of everybody's reach.
umount -l /mnt
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
ln -sfn /proc/self/fd/0 /dev/stdin
ln -sfn /proc/self/fd/1 /dev/stdout
ln -sfn /proc/self/fd/2 /dev/stderr
hostname rig
ip link set lo up

exchange=$(sed -n 's/.*\brig=\([^ ]*\).*/\1/p' /proc/cmdline)
mkdir -p /run/rig
mount -t hostfs -o "$exchange" exchange /run/rig

# The program writes to a pipe, not to a terminal, and has a session of its own, so that it cannot stop this script.
# /dev/tty1 is the kernel process' stdout, with the program's output alone; /dev/console, where the kernel and this
# script write, is its stderr.
set +e
mkfifo /run/rig-output
cat /run/rig-output >/dev/tty1 &
cat=$!
setsid --wait /bin/sh /run/rig/program </dev/null >/run/rig-output 2>&1
echo $? >/run/rig/status

# What the program left running may keep the pipe open; nobody waits for that.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  kill -0 $cat 2>/dev/null || break
  sleep 0.05
done
sync
halt -f -p
