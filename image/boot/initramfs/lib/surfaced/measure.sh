# What is started, written down and extended into PCR 14, with records as daemon/attest/logs/measure-log.ts has them:
# `surfaced measure` goes on with the log. TPM 2.0 Library, Part 3, TPM2_PCR_Event: the TPM itself makes the digest for each
# of its banks, and names them.
#
# A TPM whose reset line is not wired keeps its PCRs when the machine is restarted by software. Then the restart is extended
# first, so that what follows is not taken for what an earlier start has measured; `surfaced measure` has saved the log of
# that, and puts this one behind it.

boot_folder=${boot_folder:-/run/surfaced/boot}
measure_log=${measure_log:-/run/surfaced/measure.log}

describe_start() {
  echo "$slot" >"$boot_folder/slot"
  echo "$version" >"$boot_folder/version"
  echo "$root_hash" >"$boot_folder/root-hash"
  echo "$command_line" >"$boot_folder/cmdline"
}

hex() {
  od -An -v -tx1 | tr -d ' \n'
}

# bytes HEX: what it stands for. printf takes its format again for each of the numbers.
bytes() {
  printf "$(printf '\\%03o' $(printf %s "$1" | sed 's/../ 0x&/g'))"
}

# tpm HEX: one command, its answer in hex. The TPM is file descriptor 3; it takes a command in one piece.
tpm() {
  bytes "$1" | dd bs=4096 count=1 iflag=fullblock 2>/dev/null >&3
  dd bs=4096 count=1 2>/dev/null <&3 | hex
}

# Patterns for so many digits; no program has to be started to cut them off.
any8='????????'
any32=$any8$any8$any8$any8

# event TEXT: extends PCR 14 with the digests of the text, and prints them for the log; false when the TPM refuses.
event() {
  text=$(printf %s "$1" | hex)
  # Handle of the PCR; session with an empty password; size and bytes of the text.
  body=$(printf '%08x%08x%08x%04x%02x%04x%04x%s' 14 9 $((0x40000009)) 0 0 0 $((${#text} / 2)) "$text")
  answer=$(tpm "$(printf '8002%08x%08x%s' $((${#body} / 2 + 10)) $((0x13c)) "$body")")
  # Tag, size, code 0, size of the parameters; then the number of digests.
  case $answer in
    8002${any8}00000000$any8$any8*) ;;
    *) return 1 ;;
  esac
  rest=${answer#????$any8$any8$any8}
  count=$((0x${rest%"${rest#$any8}"}))
  rest=${rest#$any8}
  digests=
  while [ "$count" -gt 0 ]; do
    bank=${rest%"${rest#????}"}
    rest=${rest#????}
    case $bank in
      0004) bank=sha1 size=$any32$any8 ;;
      000b) bank=sha256 size=$any32$any32 ;;
      000c) bank=sha384 size=$any32$any32$any32 ;;
      000d) bank=sha512 size=$any32$any32$any32$any32 ;;
      0012) bank=sm3_256 size=$any32$any32 ;;
      0027) bank=sha3_256 size=$any32$any32 ;;
      0028) bank=sha3_384 size=$any32$any32$any32 ;;
      0029) bank=sha3_512 size=$any32$any32$any32$any32 ;;
      *) return 1 ;;
    esac
    digest=${rest%"${rest#$size}"}
    rest=${rest#$size}
    [ -n "$digest" ] || return 1
    digests=${digests:+$digests,}'{"hashAlg":"'$bank'","digest":"'$digest'"}'
    count=$((count - 1))
  done
  printf %s "$digests"
}

# record NUMBER DIGESTS TYPE CONTENT
record() {
  printf '\036{"recnum":%d,"pcr":14,"digests":[%s],"content_type":"%s","content":{%s}}\n' "$@" >>"$measure_log"
}

# Sets held to the hex digits of PCR 14 in all banks; false when the TPM does not tell. TPM2_PCR_Read for one bank after the
# other, as a hash that a TPM does not know is an error of the whole command: one in its first parameter (Part 2, 6.6.3).
read_pcr() {
  held=
  for bank in 0004 000b 000c 000d 0012 0027 0028 0029; do
    answer=$(tpm "$(printf '8001%08x%08x%08x%s03004000' 20 $((0x17e)) 1 $bank)")
    # Tag, size, code 0, update counter; what of the selection there is; the number of digests, its size and the digest.
    case $answer in
      8001${any8}00000000${any8}00000001${bank}0300400000000001????*)
        held=$held${answer#????$any8$any8$any8$any8????$any8$any8????}
        ;;
      8001${any8}00000000${any8}00000001${bank}0300000000000000) ;;
      8001${any8}000001[cdef]?) ;;
      *) return 1 ;;
    esac
  done
  [ -n "$held" ]
}

# restart NUMBER
restart() {
  digests=$(event surfaced:restart) || return 1
  record "$1" "$digests" surfaced-restart ''
}

# measure NUMBER FILE
measure() {
  sum=$(sha256sum "$2")
  sum=${sum%% *}
  digests=$(event "file:sha256:$sum:$2") || return 1
  record "$1" "$digests" surfaced '"path":"'$2'","sha256":"'$sum'"'
}

measure_all() {
  read_pcr || return 1
  next=0
  case $held in
    *[!0]*)
      say 'the TPM was not reset with the machine: the log of what it has measured goes on'
      restart 0 || return 1
      next=1
      ;;
  esac
  measure "$next" "$boot_folder/root-hash" && measure $((next + 1)) "$boot_folder/cmdline"
}

# A board without a TPM starts as well; one whose TPM fails starts too, and cannot prove itself.
measure_start() {
  [ -c /dev/tpm0 ] || [ -n "$(find /sys/firmware/devicetree/base -name compatible -exec grep -l tcg,tpm {} +)" ] || {
    say 'no TPM, nothing is measured'
    return 0
  }
  if ! wait_for 5 test -c /dev/tpm0; then
    warn 'the TPM that the device tree names does not answer'
  elif ! { measure_all; } 3<>/dev/tpm0; then
    warn 'the TPM does not measure this start'
  fi
}
