# The data partition, and what is bound from it.

e2fsck_log=${e2fsck_log:-/run/surfaced/e2fsck}

# make_data REASON
make_data() {
  say "making the data partition anew: $1"
  mke2fs -q -F -t ext4 -b 4096 -m 0 -L surfaced-data "$data_device" || stop 'the data partition cannot be made'
  made=$1
}

# By a file of this name on the firmware partition.
is_reset_wanted() {
  mkdir -p /firmware
  mount -t vfat -o ro,nodev,nosuid,noexec "/dev/${partition}1" /firmware || {
    warn 'the firmware partition cannot be mounted'
    return 1
  }
  reset=1
  [ ! -e /firmware/factory-reset ] || reset=0
  umount /firmware
  return $reset
}

# Only now, when the data partition is new: a cut before this begins the reset again.
end_reset() {
  mount -t vfat -o rw,nodev,nosuid,noexec "/dev/${partition}1" /firmware &&
    rm /firmware/factory-reset || warn 'the file factory-reset cannot be removed: remove it by hand'
  umount /firmware
}

# Repairs what is safe to repair, then all; false when there is no file system. An e2fsck that does not run (e2fsck(8): it ends
# with 15 at most when it did its work) says nothing of the data: only mounting can tell then, and nothing is thrown away.
check_data() {
  e2fsck -p "$data_device" >"$e2fsck_log" 2>&1
  [ $? -ge 4 ] || return 0
  warn 'the data partition has errors'
  e2fsck -y "$data_device" >"$e2fsck_log" 2>&1
  code=$?
  if [ $code -ge 16 ]; then
    warn "e2fsck does not run: it ended with $code"
    is_checked=
    return 0
  fi
  [ $code -lt 4 ]
}

mount_data_device() {
  mount -t ext4 -o nosuid,nodev,noexec,noatime "$data_device" /root/data
}

mount_data() {
  data_device=/dev/${partition}4
  made=
  is_checked=1
  if is_reset_wanted; then
    make_data 'reset to the state of a new card'
    sync
    end_reset
  elif ! check_data; then
    make_data 'it had no file system that could be repaired'
  fi
  mount_data_device || {
    [ -n "$is_checked" ] || stop_slot 'the data partition can be neither checked nor mounted'
    make_data 'its file system could not be mounted'
    mount_data_device || stop 'the data partition cannot be mounted'
  }
  # Size of the file system against that of the partition: in its superblock, blocks and their size (ext4, 0x4 and 0x18).
  blocks=$(od -An -tu4 -j1028 -N4 "$data_device")
  block_bytes=$((1024 << $(od -An -tu4 -j1048 -N4 "$data_device")))
  if [ "$((blocks * (block_bytes / 512) + 2048))" -lt "$(sectors "${partition}4")" ]; then
    resize2fs "$data_device" >/dev/null || warn 'the data file system stays smaller than its partition'
  fi
  data=/root/data
  mkdir -p -m 0755 "$data/shared" "$data/shared/log"
  [ -z "$made" ] || note "data partition made anew: $made"
}

# For the maker, kept with the log. The clock is not set yet, so the version says when.
note() {
  echo "$version slot $slot: $*" >>"$data/shared/log/boot"
  sync
}

# Starts of this slot in a row that did not last (surfaced-started.timer removes the file, as does boot-state). A card can
# lose bits of a slot that was good for long, which stops the kernel at some later block: after three such starts all of the
# slot is read.
count_start() {
  file=$data/shared/starts
  before=0
  if [ -f "$file" ]; then
    read -r name number <"$file"
    [ "$name" != "$slot" ] || ! has_digits "$number" 0-9 || before=$number
  fi
  if [ "$before" -ge 3 ]; then
    before=0
    if ! is_slot_whole; then
      rm "$file"
      note 'blocks of this slot are not as they were built'
      stop_slot 'blocks of it are not as they were built'
    fi
    dmsetup remove check
  fi
  echo "$slot $((before + 1))" >"$file.new"
  mv "$file.new" "$file"
}

# bind FROM TO: folders of the root file system that can be written to.
bind() {
  mount -o bind "$1" "$2" || stop "$2 cannot be bound"
}

bind_data() {
  mkdir -p -m 0755 "$data/slot-$slot" "$data/shared/timesync" "$data/shared/measure"
  make_machine_id "$data/shared/machine-id"
  bind "$data/shared/machine-id" /root/etc/machine-id
  mount -t tmpfs -o nosuid,nodev,mode=0755,size=64m var /root/var || stop '/var cannot be mounted'
  mkdir -p -m 0755 /root/var/lib/systemd/timesync /root/var/lib/surfaced /root/var/lib/surfaced-measure
  bind "$data/shared/timesync" /root/var/lib/systemd/timesync
  bind "$data/slot-$slot" /root/var/lib/surfaced
  # What was measured since the TPM was reset, by whichever slot.
  bind "$data/shared/measure" /root/var/lib/surfaced-measure
  # What was counted and made above counts even if the kernel stops at the next block.
  sync
}

# machine-id(5): made at the first start, whole or not at all.
make_machine_id() {
  [ ! -s "$1" ] || return 0
  tr -d - </proc/sys/kernel/random/uuid >"$1.new"
  chmod 0444 "$1.new"
  mv "$1.new" "$1"
}
