// SPDX-License-Identifier: Apache-2.0
// smbus-calls DEVICE ADDRESS: the ioctls of i2c-dev that no Node package makes, one line each: name, errno, data. The
// other adapters are tried with it; smbus-calls.txt is what it prints for a chip of register-chips.ts.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int device;

static void say(const char *name, int result, const unsigned char *data, int length)
{
	printf("%s %s", name, result < 0 ? strerrorname_np(errno) : "ok");
	for (int i = 0; i < length; i++)
		printf("%s%02x", i == 0 ? " " : "", data[i]);
	printf("\n");
}

static void smbus(const char *name, int isRead, int command, int size, const char *bytes, int count, int shown)
{
	union i2c_smbus_data data;
	struct i2c_smbus_ioctl_data call = { isRead, command, size, &data };

	memset(&data, 0xee, sizeof(data));
	memcpy(&data, bytes, count);
	say(name, ioctl(device, I2C_SMBUS, &call), data.block, shown);
}

int main(int count, char **arguments)
{
	union i2c_smbus_data data = { .byte = 0 };
	struct i2c_smbus_ioctl_data noData = { I2C_SMBUS_READ, 0, I2C_SMBUS_BYTE_DATA, NULL }, quick = { 0, 0, I2C_SMBUS_QUICK, NULL };
	struct i2c_msg message = { .flags = I2C_M_RD | I2C_M_RECV_LEN, .len = 33, .buf = data.block };
	struct i2c_rdwr_ioctl_data none = { &message, 0 }, tooMany = { &message, 43 }, block = { &message, 1 };

	if (count != 3 || (device = open(arguments[1], O_RDWR)) < 0) {
		perror(arguments[1]);
		return 1;
	}
	message.addr = strtol(arguments[2], NULL, 0);
	say("slave", ioctl(device, I2C_SLAVE, (long)message.addr), NULL, 0);
	smbus("block-write", 0, 0x20, I2C_SMBUS_BLOCK_DATA, "\x03\x0a\x0b\x0c", 4, 0);
	smbus("block-read", 1, 0x20, I2C_SMBUS_BLOCK_DATA, "", 0, 5);
	smbus("block-write-33", 0, 0x20, I2C_SMBUS_BLOCK_DATA, "\x21", 1, 0);
	smbus("block-read-too-long", 1, 0x21, I2C_SMBUS_BLOCK_DATA, "", 0, 0);
	smbus("byte-data", 0, 0x23, I2C_SMBUS_BYTE_DATA, "\xff", 1, 0);
	smbus("block-read-255", 1, 0x23, I2C_SMBUS_BLOCK_DATA, "", 0, 0);
	smbus("process-call", 0, 0x20, I2C_SMBUS_PROC_CALL, "\x01\x77", 2, 2);
	smbus("block-process-call", 0, 0x40, I2C_SMBUS_BLOCK_PROC_CALL, "\x01\x55", 2, 2);
	smbus("i2c-block-read-0", 1, 0x20, I2C_SMBUS_I2C_BLOCK_DATA, "\x00", 1, 0);
	smbus("i2c-block-broken", 1, 0x20, I2C_SMBUS_I2C_BLOCK_BROKEN, "", 0, 3);
	smbus("no-such-size", 1, 0, 99, "", 0, 0);
	smbus("no-such-direction", 2, 0, I2C_SMBUS_BYTE_DATA, "", 0, 0);
	say("no-data", ioctl(device, I2C_SMBUS, &noData), NULL, 0);
	say("quick", ioctl(device, I2C_SMBUS, &quick), NULL, 0);
	say("no-messages", ioctl(device, I2C_RDWR, &none), NULL, 0);
	say("too-many-messages", ioctl(device, I2C_RDWR, &tooMany), NULL, 0);
	say("length-from-part", ioctl(device, I2C_RDWR, &block), NULL, 0);
	say("timeout", ioctl(device, I2C_TIMEOUT, 5L), NULL, 0);
	say("retries", ioctl(device, I2C_RETRIES, 1L), NULL, 0);
	say("no-pec", ioctl(device, I2C_PEC, 0L), NULL, 0);
	say("pec", ioctl(device, I2C_PEC, 1L), NULL, 0);
	say("address-0x80", ioctl(device, I2C_SLAVE, 0x80L), NULL, 0);
	say("ten-bit", ioctl(device, I2C_TENBIT, 1L), NULL, 0);
	say("ten-bit-address", ioctl(device, I2C_SLAVE_FORCE, 0x148L), NULL, 0);
	smbus("ten-bit-read", 1, 0, I2C_SMBUS_BYTE, "", 0, 0);
	say("no-such-ioctl", ioctl(device, 0x7ff, 0L), NULL, 0);
	return 0;
}
