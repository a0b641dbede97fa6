/** Fields of the config that parts behind kernel input devices share. */
import { z } from 'zod';

/** Name of an input device, as /proc/bus/input/devices says it, or the path of its event file. */
export const inputName = z.string().min(1).max(255);

/** Code of a key (Linux include/uapi/linux/input-event-codes.h, KEY_MAX). */
export const keyCode = z.int().min(1).max(0x2ff);
