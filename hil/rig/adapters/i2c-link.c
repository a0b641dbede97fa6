// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "i2c-link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	at[0] = value & 0xff;
	at[1] = value >> 8;
	return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	return put16(put16(at, value & 0xffff), value >> 16);
}

static uint32_t get32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static void disconnect(struct i2c_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}

// A server that went away and came back leaves a closed connection behind, which says so before anything is sent.
static int is_alive(const struct i2c_link *link)
{
	uint8_t byte;

	if (link->fd < 0 || link->owner != getpid())
		return 0;
	return recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int connect_link(struct i2c_link *link)
{
	const struct timeval timeout = { .tv_sec = 1 };
	struct sockaddr_un server = { .sun_family = AF_UNIX };

	if (is_alive(link))
		return 0;
	disconnect(link);
	if (strlen(link->path) >= sizeof(server.sun_path))
		return -ENAMETOOLONG;
	strcpy(server.sun_path, link->path);
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0)
		return -errno;
	link->owner = getpid();
	// Before connect(): it waits as long when the server's queue is full.
	setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(link->fd, (struct sockaddr *)&server, sizeof(server)) < 0) {
		int result = errno == EAGAIN ? -ETIMEDOUT : -ENXIO;
		disconnect(link);
		return result;
	}
	return 0;
}

static int send_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -ENXIO;
		bytes += sent;
		length -= sent;
	}
	return 0;
}

static int receive_all(int fd, uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t received = recv(fd, bytes, length, 0);

		if (received < 0 && errno == EINTR)
			continue;
		if (received < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -ENXIO;
		if (received == 0)
			return -ENXIO;
		bytes += received;
		length -= received;
	}
	return 0;
}

static int receive_reply(int fd, const struct i2c_msg *last, int *answer)
{
	size_t length = last->flags & I2C_M_RD ? last->len : 0;
	uint8_t head[8];
	int result = receive_all(fd, head, sizeof(head));

	if (result < 0)
		return result;
	*answer = (int32_t)get32(head + 4);
	if (*answer > 0 || get32(head) != 4 + (*answer == 0 ? length : 0))
		return -EIO;
	return *answer == 0 ? receive_all(fd, last->buf, length) : 0;
}

int link_transfer(struct i2c_link *link, const struct i2c_msg *messages, unsigned count)
{
	size_t length = 9;
	int answer = 0;
	uint8_t *request, *at;
	int result;

	if (count == 0 || count > LINK_MESSAGES_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		if (messages[i].len > LINK_MESSAGE_MAX)
			return -EINVAL;
		// i2c-bcm2835 takes a read as the last message only.
		if ((messages[i].flags & I2C_M_RD) && i + 1 < count)
			return -EOPNOTSUPP;
		// The protocol has one address a transfer, and so has every part that we know.
		if (messages[i].addr != messages[0].addr)
			return -EOPNOTSUPP;
		length += 3 + (messages[i].flags & I2C_M_RD ? 0 : messages[i].len);
	}
	request = malloc(length);
	if (request == NULL)
		return -ENOMEM;
	at = put16(put16(put32(request, length - 4), link->bus), messages[0].addr);
	*at++ = count;
	for (unsigned i = 0; i < count; i++) {
		*at++ = messages[i].flags & I2C_M_RD;
		at = put16(at, messages[i].len);
		if (!(messages[i].flags & I2C_M_RD)) {
			memcpy(at, messages[i].buf, messages[i].len);
			at += messages[i].len;
		}
	}

	result = connect_link(link);
	if (result == 0)
		result = send_all(link->fd, request, length);
	if (result == 0)
		result = receive_reply(link->fd, &messages[count - 1], &answer);
	free(request);
	if (result < 0) {
		// A late reply must not be taken for that of the next request.
		disconnect(link);
		return result;
	}
	return answer;
}

int link_setting(struct link_file *file, unsigned long request, unsigned long argument)
{
	switch (request) {
	case I2C_SLAVE:
	case I2C_SLAVE_FORCE:
		if (argument > 0x3ff || (!file->is_ten_bit && argument > 0x7f))
			return -EINVAL;
		file->address = argument;
		return 0;
	case I2C_TENBIT:
		file->is_ten_bit = argument != 0;
		return 0;
	case I2C_TIMEOUT:
	case I2C_RETRIES:
		return argument > INT32_MAX ? -EINVAL : 0;
	case I2C_PEC:
		return argument == 0 ? 0 : -EOPNOTSUPP;
	default:
		return 1;
	}
}

int link_smbus_length(uint32_t size, uint8_t read_write)
{
	switch (size) {
	case I2C_SMBUS_QUICK:
		return 0;
	case I2C_SMBUS_BYTE:
		return read_write == I2C_SMBUS_READ ? 1 : 0;
	case I2C_SMBUS_BYTE_DATA:
		return 1;
	case I2C_SMBUS_WORD_DATA:
	case I2C_SMBUS_PROC_CALL:
		return 2;
	case I2C_SMBUS_BLOCK_DATA:
	case I2C_SMBUS_I2C_BLOCK_BROKEN:
	case I2C_SMBUS_I2C_BLOCK_DATA:
	case I2C_SMBUS_BLOCK_PROC_CALL:
		return sizeof(((union i2c_smbus_data *)0)->block);
	default:
		return -EINVAL;
	}
}

int link_smbus_takes(uint32_t size, uint8_t read_write)
{
	return read_write == I2C_SMBUS_WRITE || size == I2C_SMBUS_PROC_CALL || size == I2C_SMBUS_BLOCK_PROC_CALL ||
	       size == I2C_SMBUS_I2C_BLOCK_DATA;
}

int link_smbus_gives(uint32_t size, uint8_t read_write)
{
	return read_write == I2C_SMBUS_READ || size == I2C_SMBUS_PROC_CALL || size == I2C_SMBUS_BLOCK_PROC_CALL;
}

// Which messages each call is: System Management Bus Specification 3.0, section 6.5, as drivers/i2c/i2c-core-smbus.c
// makes them on an adapter that knows messages only, such as that of a Pi.
int link_smbus(struct i2c_link *link, const struct link_file *file, uint8_t read_write, uint8_t command, uint32_t size,
	       union i2c_smbus_data *data)
{
	const int is_read = read_write == I2C_SMBUS_READ;
	uint8_t out[I2C_SMBUS_BLOCK_MAX + 2] = { command }, in[I2C_SMBUS_BLOCK_MAX + 1] = { 0 };
	struct i2c_msg messages[2] = {
		{ .addr = file->address, .flags = 0, .len = 1, .buf = out },
		{ .addr = file->address, .flags = I2C_M_RD, .len = 0, .buf = in },
	};
	int has_out = 1, result;

	if (size == I2C_SMBUS_I2C_BLOCK_BROKEN) {
		// Callers from before Linux 2.6.23, which always read 32 bytes.
		size = I2C_SMBUS_I2C_BLOCK_DATA;
		if (is_read)
			data->block[0] = I2C_SMBUS_BLOCK_MAX;
	}
	if (size == I2C_SMBUS_I2C_BLOCK_DATA || size == I2C_SMBUS_BLOCK_PROC_CALL || (size == I2C_SMBUS_BLOCK_DATA && !is_read))
		if (data->block[0] == 0 || data->block[0] > I2C_SMBUS_BLOCK_MAX)
			return -EINVAL;

	switch (size) {
	case I2C_SMBUS_QUICK:
		messages[0].len = 0;
		messages[0].flags = is_read ? I2C_M_RD : 0;
		return link_transfer(link, messages, 1);
	case I2C_SMBUS_BYTE:
		has_out = !is_read;
		messages[1].len = is_read ? 1 : 0;
		break;
	case I2C_SMBUS_BYTE_DATA:
		messages[0].len = is_read ? 1 : 2;
		messages[1].len = is_read ? 1 : 0;
		out[1] = data->byte;
		break;
	case I2C_SMBUS_WORD_DATA:
	case I2C_SMBUS_PROC_CALL:
		messages[0].len = is_read && size == I2C_SMBUS_WORD_DATA ? 1 : 3;
		messages[1].len = is_read || size == I2C_SMBUS_PROC_CALL ? 2 : 0;
		put16(out + 1, data->word);
		break;
	case I2C_SMBUS_I2C_BLOCK_DATA:
		messages[0].len = is_read ? 1 : data->block[0] + 1;
		messages[1].len = is_read ? data->block[0] : 0;
		memcpy(out + 1, data->block + 1, I2C_SMBUS_BLOCK_MAX);
		break;
	case I2C_SMBUS_BLOCK_DATA:
	case I2C_SMBUS_BLOCK_PROC_CALL:
		messages[0].len = is_read && size == I2C_SMBUS_BLOCK_DATA ? 1 : data->block[0] + 2;
		// The part says how many bytes follow; the bus of a Pi cannot wait for that word and reads all that there may be.
		messages[1].len = link_smbus_gives(size, read_write) ? sizeof(in) : 0;
		memcpy(out + 1, data->block, I2C_SMBUS_BLOCK_MAX + 1);
		break;
	default:
		return -EINVAL;
	}
	result = link_transfer(link, has_out ? messages : messages + 1, has_out + (messages[1].len > 0));
	if (result < 0 || messages[1].len == 0)
		return result;

	switch (size) {
	case I2C_SMBUS_BYTE:
	case I2C_SMBUS_BYTE_DATA:
		data->byte = in[0];
		break;
	case I2C_SMBUS_WORD_DATA:
	case I2C_SMBUS_PROC_CALL:
		data->word = in[0] | in[1] << 8;
		break;
	case I2C_SMBUS_I2C_BLOCK_DATA:
		memcpy(data->block + 1, in, data->block[0]);
		break;
	default:
		if (in[0] > I2C_SMBUS_BLOCK_MAX)
			return -EPROTO;
		memcpy(data->block, in, in[0] + 1);
	}
	return 0;
}
