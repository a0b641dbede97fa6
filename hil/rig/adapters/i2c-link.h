// SPDX-License-Identifier: Apache-2.0
// An I2C bus whose chips live in another process, behind a Unix stream socket: what both adapters share.
//
// Request:  u32 length of the rest | u16 bus | u16 address | u8 message count |
//           per message: u8 flags (bit 0: read) | u16 length | the bytes, when it is a write
// Reply:    u32 length of the rest | i32 result, 0 or a negative errno | the bytes of all read messages in order
// All little-endian; one request at a time on a connection. SMBus "Quick" is one message of length 0.
#ifndef SURFACED_I2C_LINK_H
#define SURFACED_I2C_LINK_H

#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What i2c-bcm2835, the driver of a Pi's bus, says of itself, without the packet error code, which no chip of ours has.
#define LINK_FUNCTIONS (I2C_FUNC_I2C | (I2C_FUNC_SMBUS_EMUL & ~I2C_FUNC_SMBUS_PEC))
// Bounds of drivers/i2c/i2c-dev.c.
#define LINK_MESSAGE_MAX 8192
#define LINK_MESSAGES_MAX I2C_RDWR_IOCTL_MAX_MSGS

struct i2c_link {
	const char *path; // of the socket
	uint16_t bus;
	int fd;      // -1: not connected
	pid_t owner; // who connected: a forked child makes a connection of its own
};

// One transfer from START to STOP. 0 or a negative errno: -ENXIO when nobody serves the socket, -ETIMEDOUT when the
// server says nothing for a second, -EIO when it answers nonsense, else what the server says.
int link_transfer(struct i2c_link *link, const struct i2c_msg *messages, unsigned count);

// What one open file keeps between calls.
struct link_file {
	uint16_t address;
	int is_ten_bit;
};

// The ioctls that only change or ask the file: I2C_SLAVE, I2C_SLAVE_FORCE, I2C_TENBIT, I2C_TIMEOUT, I2C_RETRIES, I2C_PEC.
// 0, a negative errno, or 1: not one of these.
int link_setting(struct link_file *file, unsigned long request, unsigned long argument);

// Bytes of the caller's data that an SMBus call reads or writes; 0: it has no data; -EINVAL: no such call.
int link_smbus_length(uint32_t size, uint8_t read_write);

// Whether an SMBus call looks at the caller's data, and whether it fills it.
int link_smbus_takes(uint32_t size, uint8_t read_write);
int link_smbus_gives(uint32_t size, uint8_t read_write);

// One SMBus call as messages. 0 or a negative errno.
int link_smbus(struct i2c_link *link, const struct link_file *file, uint8_t read_write, uint8_t command, uint32_t size,
	       union i2c_smbus_data *data);

#endif
