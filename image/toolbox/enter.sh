#!/bin/sh
# Runs a command inside the toolbox: enter.sh TOOLBOX FOLDER COUNT BIND... COMMAND ARGUMENT...
# In a mount namespace of its own (`unshare --mount`), so that nothing stays mounted, however this ends. The toolbox is
# read-only there: what a command writes outside of the host's folders lies in memory and goes with it.
set -eu

toolbox=$1
folder=$2
count=$3
shift 3
# Any folder that is there will do as the place of the new root.
root=$toolbox/mnt
mount -t tmpfs -o mode=0755 toolbox "$root"
for name in "$toolbox"/*; do
  name=${name##*/}
  if [ -L "$toolbox/$name" ]; then
    cp -P "$toolbox/$name" "$root/$name"
  else
    case $name in
      dev | etc | proc | sys | usr | var) mkdir "$root/$name" ;;
    esac
  fi
done
mkdir -m 1777 "$root/tmp"
mkdir "$root/mnt" "$root/run" "$root/root"
for name in etc usr var; do
  mount --bind "$toolbox/$name" "$root/$name"
  mount -o remount,bind,ro "$root/$name"
done
mount -t tmpfs -o mode=1777 toolbox "$root/var/tmp"
for name in dev proc sys; do
  mount --rbind "/$name" "$root/$name"
done
# Names of hosts are found as they are outside.
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts"
while [ "$count" -gt 0 ]; do
  mkdir -p "$root$1"
  mount --rbind "$1" "$root$1"
  shift
  count=$((count - 1))
done
exec chroot "$root" /usr/bin/env --chdir="$folder" "$@"
