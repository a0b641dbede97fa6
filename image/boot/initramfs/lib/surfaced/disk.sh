# Modules, the slot that was chosen, the card and its partitions.

disk_id=50a7face

# Every list of modules, each by its path on a line, in the order in which they can be loaded. An archive that is appended
# to this one (boot.cmd, surfaced_board) can bring another list.
load_modules() {
  for list in /conf/modules.d/*; do
    while read -r module; do
      # Drivers of parts that this board does not have refuse to load.
      insmod "$module" 2>/dev/null || say "${module##*/} is not loaded"
    done <"$list"
  done
}

# Sets slot: the last one that is named, as the kernel reads its arguments.
find_slot() {
  slot=
  read -r command_line </proc/cmdline
  for word in $command_line; do
    case $word in
      surfaced.slot=a | surfaced.slot=b) slot=${word#*=} ;;
    esac
  done
  [ -n "$slot" ] || stop 'the kernel was started without surfaced.slot=a or b'
}

# Sets disk to the name of the whole card, such as mmcblk0. No sticks: 61-surfaced-card.rules has the same kinds.
is_disk_here() {
  for path in /sys/class/block/mmcblk? /sys/class/block/vd?; do
    disk=${path##*/}
    [ -b "/dev/$disk" ] || continue
    # The identifier in the MBR; the number is in the order of this processor.
    id=$(dd if="/dev/$disk" bs=4 skip=110 count=1 2>/dev/null | od -An -tx4 | tr -d ' ')
    [ "$id" != "$disk_id" ] || return 0
  done
  return 1
}

find_disk() {
  wait_for 20 is_disk_here || stop "no card with the disk identifier $disk_id was found in 20 s"
  case $disk in
    *[0-9]) partition=${disk}p ;;
    *) partition=$disk ;;
  esac
  [ -b "/dev/${partition}4" ] || stop "$disk has no four partitions"
}

# sectors NAME [start]: size or start of a disk or partition, in units of 512 bytes.
sectors() {
  cat "/sys/class/block/$1/${2:-size}"
}

# Lets the data partition reach to the end of the card, in whole MiB. Before anything of the card is in use, so that the
# kernel reads the table again. The table is one sector, of which the card keeps the old or the new.
grow_partition() {
  start=$(sectors "${partition}4" start)
  end=$(sectors "$disk")
  # Partitions of this table count their sectors with 32 bits.
  [ "$((end - start))" -le 4294967295 ] || end=$((start + 4294967295))
  size=$(((end - start) / 2048 * 2048))
  [ "$size" -gt "$(sectors "${partition}4")" ] || return 0
  say "growing the data partition to $((size / 2048)) MiB"
  bytes=$(printf '\\%03o' $((size % 256)) $((size / 256 % 256)) $((size / 65536 % 256)) $((size / 16777216)))
  # The number of sectors of the fourth entry.
  printf "$bytes" | dd of="/dev/$disk" bs=1 seek=506 count=4 conv=notrunc,fsync 2>/dev/null ||
    warn 'the partition table cannot be written'
  blockdev --rereadpt "/dev/$disk" || warn 'the partition table is read again at the next start'
  wait_for 5 test -b "/dev/${partition}4" || stop 'the partitions of the card did not come back'
}
