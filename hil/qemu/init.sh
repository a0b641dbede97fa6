#!/bin/sh
# What the guest goes on with once the host's files are its root: mounts, the exchange folder, the program, the end. The
# same world as that of hil/rig/init.sh, which has hostfs in the place of 9p.
set -e
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

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
mkdir /run/rig
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 exchange /run/rig

# The 28 lines of hil/rig/panel.dts: without a device tree they come through configfs.
bank=/sys/kernel/config/gpio-sim/panel/lines
mkdir -p $bank
echo 28 >$bank/num_lines
echo pinctrl-bcm2711 >$bank/label
echo 1 >/sys/kernel/config/gpio-sim/panel/live

# The program writes to a pipe, so that it may open its own output again, which a virtio port does not allow.
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" != output ] || output=/dev/${port##*/}
done
set +e
mkfifo /run/rig-output
cat /run/rig-output >"$output" &
cat=$!
setsid --wait /bin/sh /run/rig/program </dev/null >/run/rig-output 2>&1
echo $? >/run/rig/status

# What the program left running may keep the pipe open; nobody waits for that.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  kill -0 $cat 2>/dev/null || break
  sleep 0.05
done
sync
echo o >/proc/sysrq-trigger
sleep 60
