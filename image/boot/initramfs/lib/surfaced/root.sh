# The root file system: a slot, read through dm-verity.

# There is no udev yet: dmsetup makes the files in /dev/mapper itself.
export DM_DISABLE_UDEV=1

# has_digits TEXT CHARACTERS: not empty, and made of these alone.
has_digits() {
  case $1 in
    '' | *[!$2]*) return 1 ;;
  esac
}

# Sets version, root_hash, salt, data_blocks, hash_offset.
read_footer() {
  version= root_hash= salt= data_blocks= hash_offset=
  blocks=$(($(sectors "${1##*/}") / 8))
  footer=$(dd if="$1" bs=4096 skip=$((blocks - 1)) count=1 2>/dev/null | tr -d '\0')
  [ "${footer%%
*}" = 'surfaced-slot 1' ] || return 1
  while IFS='=' read -r name value; do
    case $name in
      version) version=$value ;;
      root-hash) root_hash=$value ;;
      salt) salt=$value ;;
      data-blocks) data_blocks=$value ;;
      hash-offset) hash_offset=$value ;;
    esac
  done <<FOOTER
$footer
FOOTER
  [ -n "$version" ] && [ ${#root_hash} = 64 ] && has_digits "$root_hash" 0-9a-f && has_digits "$salt" 0-9a-f &&
    has_digits "$data_blocks" 0-9 && has_digits "$hash_offset" 0-9 && [ "$((hash_offset % 4096))" = 0 ]
}

# map NAME OPTIONS: /dev/mapper/NAME is the file system of the slot, each block checked as it is read.
map() {
  table="0 $((data_blocks * 8)) verity 1 $slot_device $slot_device 4096 4096 $data_blocks $((hash_offset / 4096))"
  dmsetup create "$1" --readonly --table "$table sha256 $root_hash $salt $2"
}

# A block that is not as it was built stops the kernel, which starts again after 10 s (/proc/sys/kernel/panic).
open_root() {
  slot_device=/dev/${partition}2
  [ "$slot" = a ] || slot_device=/dev/${partition}3
  read_footer "$slot_device" || stop_slot 'its last block is no footer'
  # Who tells that the root block is wrong is dm-verity, when the first block is read.
  map check '' && dd if=/dev/mapper/check bs=4096 count=1 2>/dev/null >/dev/null ||
    stop_slot 'its file system is not the one that its root hash names'
  dmsetup remove check
  map root '1 panic_on_corruption' || stop_slot 'dm-verity cannot be set up'
  mount -t ext4 -o ro,nodev /dev/mapper/root /root || stop_slot 'its file system cannot be mounted'
}

# Reads the whole slot; false when a block of it is wrong. About half a minute on a card.
is_slot_whole() {
  say "checking all of slot $slot"
  map check '' && dd if=/dev/mapper/check of=/dev/null bs=1M 2>/dev/null
}
