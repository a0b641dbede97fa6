#!/bin/sh
# What the guest goes on with once the host's files are its root: mounts, the exchange folder, the program, the end.
# hil/rig/init.sh is the same with hostfs in the place of 9p.
set -e
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

. "${0%/*}/../rig/world.sh"
mount_world
mkdir /run/rig
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 exchange /run/rig

# The 28 lines of hil/rig/panel.dts: without a device tree they come through configfs.
bank=/sys/kernel/config/gpio-sim/panel/lines
mkdir -p $bank
echo 28 >$bank/num_lines
echo pinctrl-bcm2711 >$bank/label
echo 1 >/sys/kernel/config/gpio-sim/panel/live

# A virtio port cannot be opened again by a program that has it; behind the pipe of run_program nobody has to.
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" != output ] || output=/dev/${port##*/}
done
run_program "$output"
echo o >/proc/sysrq-trigger
sleep 60
