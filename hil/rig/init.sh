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
. "${0%/*}/world.sh"
mount_world
ln -sfn /proc/self/fd/0 /dev/stdin
ln -sfn /proc/self/fd/1 /dev/stdout
ln -sfn /proc/self/fd/2 /dev/stderr

exchange=$(sed -n 's/.*\brig=\([^ ]*\).*/\1/p' /proc/cmdline)
mkdir -p /run/rig
mount -t hostfs -o "$exchange" exchange /run/rig

# /dev/tty1 is the kernel process' stdout, with the program's output alone; /dev/console, where the kernel and this
# script write, is its stderr.
run_program /dev/tty1
halt -f -p
