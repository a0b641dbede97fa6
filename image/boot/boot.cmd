# Script of U-Boot, run from the firmware partition: chooses a slot, loads kernel, initramfs and arguments from it, starts.
# For U-Boot 2025.01 of Debian 13 (rpi_arm64; qemu_arm64 in the tests) with its old hush shell. Bootstd gives devtype,
# devnum; the firmware's environment kernel_addr_r and fdt_addr or fdtcontroladdr. Own variables begin with sd_.
#
# surfaced_board: a variable of the firmware's own environment; commands that a board runs just before the start, when all
# is loaded: kernel at ${sd_kernel}, initramfs at ${sd_initrd} with ${sd_initrd_bytes} (all hexadecimal; bootargs too),
# which it may change.

# Not ${kernel_addr_r} and ${ramdisk_addr_r}: on the Pi there are 39 MB between them, too few for Debian's kernel. The
# kernel stays where it is loaded when that is a multiple of 2 MiB.
setexpr sd_memory ${kernel_addr_r} \& 0xffe00000
setexpr sd_kernel ${sd_memory} + 0x200000
setexpr sd_state ${sd_memory} + 0x6000000
setexpr sd_arguments ${sd_memory} + 0x6010000
setexpr sd_initrd ${sd_memory} + 0x6100000
setenv sd_fdt ${fdtcontroladdr}
if test -n "${fdt_addr}"; then setenv sd_fdt ${fdt_addr}; fi

# The boot state: the first of two copies with a good checksum, at 1 and 2 MiB, one sector each. Is there none: slot a.
setenv good
setenv trial
setenv left
${devtype} dev ${devnum}
if ${devtype} read ${sd_state} 0x800 1 && env import -c ${sd_state} 0x200 good trial left; then
  echo "surfaced: boot state: good ${good}, trial ${trial}, left ${left}"
elif ${devtype} read ${sd_state} 0x1000 1 && env import -c ${sd_state} 0x200 good trial left; then
  echo "surfaced: boot state, second copy: good ${good}, trial ${trial}, left ${left}"
else
  echo "surfaced: no boot state can be read, slot a is taken as good"
fi
if test "${good}" = b; then
  setenv sd_slots "b a"
else
  setenv good a
  setenv sd_slots "a b"
fi

# A trial with starts left: counted down before it starts, the first copy first, so that a cut leaves one of them whole.
# What cannot be counted is not tried.
setenv sd_trial
if test "${trial}" = a; then setenv sd_trial "a b"; fi
if test "${trial}" = b; then setenv sd_trial "b a"; fi
setenv sd_left
if test "${left}" = 3; then setenv sd_left 2; fi
if test "${left}" = 2; then setenv sd_left 1; fi
if test "${left}" = 1; then setenv sd_left 0; fi
if test -n "${sd_trial}" && test -n "${sd_left}"; then
  setenv left ${sd_left}
  if env export -c -s 0x200 ${sd_state} good trial left && ${devtype} write ${sd_state} 0x800 1; then
    ${devtype} write ${sd_state} 0x1000 1
    setenv sd_slots "${sd_trial}"
    echo "surfaced: slot ${trial} is on trial, ${left} more starts after this one"
  else
    echo "surfaced: the boot state cannot be written, so slot ${trial} is not tried"
  fi
fi

for sd_slot in ${sd_slots}; do
  setenv sd_part 2
  if test "${sd_slot}" = b; then setenv sd_part 3; fi
  echo "surfaced: loading slot ${sd_slot}"
  # One `if` in the other: this shell goes on after the second `&&` of a chain that has failed.
  if load ${devtype} ${devnum}:${sd_part} ${sd_arguments} /boot/cmdline; then
    # Arguments of the kernel are one line: its line feed becomes the end of the text.
    setexpr sd_end ${sd_arguments} + ${filesize}
    setexpr sd_end ${sd_end} - 1
    mw.b ${sd_end} 0
    setexpr.s sd_cmdline *${sd_arguments}
    if load ${devtype} ${devnum}:${sd_part} ${sd_kernel} /boot/vmlinuz; then
      if load ${devtype} ${devnum}:${sd_part} ${sd_initrd} /boot/initrd.img; then
        setenv sd_initrd_bytes ${filesize}
        setenv bootargs "${sd_cmdline} surfaced.slot=${sd_slot} rauc.slot=${sd_slot}"
        if test -n "${surfaced_board}"; then run surfaced_board; fi
        booti ${sd_kernel} ${sd_initrd}:${sd_initrd_bytes} ${sd_fdt}
      fi
    fi
  fi
  echo "surfaced: slot ${sd_slot} cannot be started"
done
echo "surfaced: no slot can be started; write the card again. Next attempt in 10 s"
sleep 10
reset
