// SPDX-License-Identifier: Apache-2.0
// cuse-i2c BUS SOCKET: serves /dev/i2c-BUS until it is ended; each transfer goes to the chip server at SOCKET.
// Answers the ioctls of drivers/i2c/i2c-dev.c. The kernel gives a device of CUSE no way to read the caller's memory, so
// an ioctl names the pieces that it wants and is called again with them ("retry", libfuse's cuse_lowlevel.h).
#define _GNU_SOURCE
#define FUSE_USE_VERSION 31
#include <cuse_lowlevel.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "i2c-link.h"

// One thread serves the device (-s), so transfers come one after the other as on a bus.
static struct i2c_link link_to_chips = { .fd = -1 };

static struct link_file *file_of(struct fuse_file_info *info)
{
	return (struct link_file *)(uintptr_t)info->fh;
}

static void serve_open(fuse_req_t request, struct fuse_file_info *info)
{
	struct link_file *file = calloc(1, sizeof(*file));

	if (file == NULL) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	info->fh = (uintptr_t)file;
	fuse_reply_open(request, info);
}

static void serve_release(fuse_req_t request, struct fuse_file_info *info)
{
	free(file_of(info));
	fuse_reply_err(request, 0);
}

static void serve_read(fuse_req_t request, size_t size, off_t offset, struct fuse_file_info *info)
{
	uint8_t bytes[LINK_MESSAGE_MAX];
	struct i2c_msg message = { .addr = file_of(info)->address, .flags = I2C_M_RD, .buf = bytes };
	int result;

	(void)offset;
	message.len = size < sizeof(bytes) ? size : sizeof(bytes);
	result = link_transfer(&link_to_chips, &message, 1);
	if (result < 0)
		fuse_reply_err(request, -result);
	else
		fuse_reply_buf(request, (const char *)bytes, message.len);
}

static void serve_write(fuse_req_t request, const char *bytes, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct i2c_msg message = { .addr = file_of(info)->address, .buf = (uint8_t *)bytes };
	int result;

	(void)offset;
	message.len = size < LINK_MESSAGE_MAX ? size : LINK_MESSAGE_MAX;
	result = link_transfer(&link_to_chips, &message, 1);
	if (result < 0)
		fuse_reply_err(request, -result);
	else
		fuse_reply_write(request, message.len);
}

// What the kernel has copied so far.
struct copied {
	const uint8_t *in;
	size_t inLength;
	size_t outRoom;
};

static void serve_smbus(fuse_req_t request, void *argument, struct link_file *file, struct copied copied)
{
	struct i2c_smbus_ioctl_data call;
	struct iovec in[2] = { { argument, sizeof(call) } }, out;
	union i2c_smbus_data data;
	int length, takes, gives, result;

	if (copied.inLength < sizeof(call)) {
		fuse_reply_ioctl_retry(request, in, 1, NULL, 0);
		return;
	}
	memcpy(&call, copied.in, sizeof(call));
	length = link_smbus_length(call.size, call.read_write);
	if (length < 0 || call.read_write > I2C_SMBUS_READ || (length > 0 && call.data == NULL)) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	takes = length > 0 && link_smbus_takes(call.size, call.read_write);
	gives = length > 0 && link_smbus_gives(call.size, call.read_write);
	if ((takes && copied.inLength < sizeof(call) + length) || (gives && copied.outRoom < (size_t)length)) {
		in[1] = out = (struct iovec){ call.data, length };
		fuse_reply_ioctl_retry(request, in, 1 + takes, &out, gives);
		return;
	}
	memset(&data, 0, sizeof(data));
	if (takes)
		memcpy(&data, copied.in + sizeof(call), length);
	result = link_smbus(&link_to_chips, file, call.read_write, call.command, call.size, &data);
	if (result < 0)
		fuse_reply_err(request, -result);
	else
		fuse_reply_ioctl(request, 0, gives ? &data : NULL, gives ? length : 0);
}

static void serve_messages(fuse_req_t request, void *argument, struct copied copied)
{
	struct i2c_rdwr_ioctl_data call;
	struct i2c_msg messages[LINK_MESSAGES_MAX];
	struct iovec in[2 + LINK_MESSAGES_MAX] = { { argument, sizeof(call) } }, out[LINK_MESSAGES_MAX];
	size_t head, writeLength = 0, readLength = 0;
	int inCount = 2, outCount = 0, result;
	const uint8_t *writes;
	uint8_t *reads, *at;

	if (copied.inLength < sizeof(call)) {
		fuse_reply_ioctl_retry(request, in, 1, NULL, 0);
		return;
	}
	memcpy(&call, copied.in, sizeof(call));
	if (call.msgs == NULL || call.nmsgs == 0 || call.nmsgs > LINK_MESSAGES_MAX) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	in[1] = (struct iovec){ call.msgs, call.nmsgs * sizeof(messages[0]) };
	head = sizeof(call) + in[1].iov_len;
	if (copied.inLength < head) {
		fuse_reply_ioctl_retry(request, in, 2, NULL, 0);
		return;
	}
	memcpy(messages, copied.in + sizeof(call), in[1].iov_len);
	for (unsigned i = 0; i < call.nmsgs; i++) {
		const struct iovec piece = { messages[i].buf, messages[i].len };

		// A length that the part says is not known before the read (no adapter of a Pi does it).
		if (messages[i].len > LINK_MESSAGE_MAX || (messages[i].flags & I2C_M_RECV_LEN)) {
			fuse_reply_err(request, messages[i].len > LINK_MESSAGE_MAX ? EINVAL : EOPNOTSUPP);
			return;
		}
		if (messages[i].flags & I2C_M_RD) {
			out[outCount++] = piece;
			readLength += piece.iov_len;
		} else {
			in[inCount++] = piece;
			writeLength += piece.iov_len;
		}
	}
	if (copied.inLength < head + writeLength || copied.outRoom < readLength) {
		fuse_reply_ioctl_retry(request, in, inCount, out, outCount);
		return;
	}

	reads = at = malloc(readLength + 1);
	if (reads == NULL) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	writes = copied.in + head;
	for (unsigned i = 0; i < call.nmsgs; i++) {
		const int is_read = messages[i].flags & I2C_M_RD;

		messages[i].buf = is_read ? at : (uint8_t *)writes;
		at += is_read ? messages[i].len : 0;
		writes += is_read ? 0 : messages[i].len;
	}
	result = link_transfer(&link_to_chips, messages, call.nmsgs);
	if (result < 0)
		fuse_reply_err(request, -result);
	else
		fuse_reply_ioctl(request, call.nmsgs, reads, readLength);
	free(reads);
}

static void serve_ioctl(fuse_req_t request, int number, void *argument, struct fuse_file_info *info, unsigned flags,
			const void *in, size_t inLength, size_t outRoom)
{
	const struct copied copied = { in, inLength, outRoom };
	const unsigned long functions = LINK_FUNCTIONS;
	struct iovec out = { argument, sizeof(functions) };
	int result;

	(void)flags;
	switch ((unsigned)number) {
	case I2C_FUNCS:
		if (outRoom < sizeof(functions))
			fuse_reply_ioctl_retry(request, NULL, 0, &out, 1);
		else
			fuse_reply_ioctl(request, 0, &functions, sizeof(functions));
		return;
	case I2C_SMBUS:
		serve_smbus(request, argument, file_of(info), copied);
		return;
	case I2C_RDWR:
		serve_messages(request, argument, copied);
		return;
	default:
		result = link_setting(file_of(info), (unsigned)number, (unsigned long)argument);
		if (result == 0)
			fuse_reply_ioctl(request, 0, NULL, 0);
		else
			fuse_reply_err(request, result > 0 ? ENOTTY : -result);
	}
}

static const struct cuse_lowlevel_ops operations = {
	.open = serve_open,
	.release = serve_release,
	.read = serve_read,
	.write = serve_write,
	.ioctl = serve_ioctl,
};

int main(int count, char **arguments)
{
	char name[32], foreground[] = "-f", single[] = "-s";
	const char *information[] = { name };
	// The major number is the kernel's choice: that of i2c-dev, 89, is taken where the driver is built in.
	const struct cuse_info device = { .dev_info_argc = 1, .dev_info_argv = information, .flags = CUSE_UNRESTRICTED_IOCTL };
	char *served[] = { arguments[0], foreground, single, NULL };
	char *end;
	long bus;

	if (count != 3 || (bus = strtol(arguments[1], &end, 10)) < 0 || bus > UINT16_MAX || *end != '\0' || end == arguments[1]) {
		fprintf(stderr, "usage: cuse-i2c BUS SOCKET\n");
		return 2;
	}
	link_to_chips.bus = bus;
	link_to_chips.path = arguments[2];
	snprintf(name, sizeof(name), "DEVNAME=i2c-%ld", bus);
	return cuse_lowlevel_main(3, served, &device, &operations, NULL);
}
