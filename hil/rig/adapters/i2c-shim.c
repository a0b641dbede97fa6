// SPDX-License-Identifier: Apache-2.0
// LD_PRELOAD library that serves /dev/i2c-N inside one process on a host without I2C, for the real `i2c-bus` binding.
// SURFACED_I2C_SHIM: path of the chip server's socket. SURFACED_I2C_BUSES: the bus numbers to claim, e.g. "1,3".
// Everything else goes on to the C library. A claimed file is an anonymous memory file underneath, so that fstat(),
// polling and closing by ways that are not seen here do no harm; its inode tells it from a later file of the same number.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "i2c-link.h"

#define BUSES_MAX 8
// i2c-bus keeps one file for each address and bus that it talks to.
#define FILES_MAX 4096

struct shim_bus {
	struct i2c_link link;
	// One transfer at a time, as on a bus: Node calls from several threads.
	pthread_mutex_t lock;
};

struct shim_file {
	struct shim_bus *bus; // NULL: not ours
	struct link_file file;
	ino_t inode;
	dev_t device;
};

static struct shim_bus buses[BUSES_MAX];
static unsigned busCount;
static struct shim_file files[FILES_MAX];
static pthread_mutex_t filesLock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static int (*real_open)(const char *, int, ...);
static int (*real_open64)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_ioctl)(int, unsigned long, ...);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);

// A function of the C library is data to dlsym(); ISO C has no cast for that.
static void find(void *function, const char *name)
{
	*(void **)function = dlsym(RTLD_NEXT, name);
}

static void prepare(void)
{
	const char *path = getenv("SURFACED_I2C_SHIM"), *list = getenv("SURFACED_I2C_BUSES");

	find(&real_open, "open");
	find(&real_open64, "open64");
	find(&real_close, "close");
	find(&real_ioctl, "ioctl");
	find(&real_read, "read");
	find(&real_write, "write");
	find(&real_pread, "pread64");
	find(&real_pwrite, "pwrite64");
	while (path != NULL && list != NULL && *list != '\0' && busCount < BUSES_MAX) {
		char *end;
		const unsigned long number = strtoul(list, &end, 10);

		if (end == list || number > UINT16_MAX)
			break;
		// The environment may be changed later; the path may not.
		buses[busCount].link = (struct i2c_link){ .path = strdup(path), .bus = number, .fd = -1 };
		pthread_mutex_init(&buses[busCount++].lock, NULL);
		list = *end == ',' ? end + 1 : end;
	}
}

static struct shim_bus *claimed(const char *path)
{
	char name[32];

	pthread_once(&prepared, prepare);
	for (unsigned i = 0; i < busCount; i++) {
		snprintf(name, sizeof(name), "/dev/i2c-%u", buses[i].link.bus);
		if (path != NULL && strcmp(path, name) == 0)
			return &buses[i];
	}
	return NULL;
}

static int open_claimed(struct shim_bus *bus)
{
	struct stat stat;
	const int fd = memfd_create("i2c", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fd >= FILES_MAX || fstat(fd, &stat) < 0) {
		real_close(fd);
		errno = EMFILE;
		return -1;
	}
	pthread_mutex_lock(&filesLock);
	files[fd] = (struct shim_file){ .bus = bus, .inode = stat.st_ino, .device = stat.st_dev };
	pthread_mutex_unlock(&filesLock);
	return fd;
}

// Our file behind a descriptor, or NULL.
static struct shim_file *file_of(int fd)
{
	struct shim_file *file = NULL;
	struct stat stat;

	pthread_once(&prepared, prepare);
	if (fd < 0 || fd >= FILES_MAX || __atomic_load_n(&files[fd].bus, __ATOMIC_ACQUIRE) == NULL)
		return NULL;
	pthread_mutex_lock(&filesLock);
	if (files[fd].bus != NULL && fstat(fd, &stat) == 0 && stat.st_ino == files[fd].inode && stat.st_dev == files[fd].device)
		file = &files[fd];
	else
		files[fd].bus = NULL;
	pthread_mutex_unlock(&filesLock);
	return file;
}

// As the C library answers: -1 and errno, or the value.
static int answer(int result, int value)
{
	if (result >= 0)
		return value;
	errno = -result;
	return -1;
}

static int transfer(struct shim_file *file, const struct i2c_msg *messages, unsigned count)
{
	int result;

	pthread_mutex_lock(&file->bus->lock);
	result = link_transfer(&file->bus->link, messages, count);
	pthread_mutex_unlock(&file->bus->lock);
	return result;
}

static ssize_t move(struct shim_file *file, uint16_t flags, uint8_t *bytes, size_t length)
{
	struct i2c_msg message = { .addr = file->file.address, .flags = flags, .buf = bytes };

	message.len = length < LINK_MESSAGE_MAX ? length : LINK_MESSAGE_MAX;
	return answer(transfer(file, &message, 1), message.len);
}

static int smbus(struct shim_file *file, const struct i2c_smbus_ioctl_data *call)
{
	union i2c_smbus_data data;
	const int length = link_smbus_length(call->size, call->read_write);
	int result;

	if (length < 0 || call->read_write > I2C_SMBUS_READ || (length > 0 && call->data == NULL))
		return answer(-EINVAL, 0);
	memset(&data, 0, sizeof(data));
	if (length > 0 && link_smbus_takes(call->size, call->read_write))
		memcpy(&data, call->data, length);
	pthread_mutex_lock(&file->bus->lock);
	result = link_smbus(&file->bus->link, &file->file, call->read_write, call->command, call->size, &data);
	pthread_mutex_unlock(&file->bus->lock);
	if (result == 0 && length > 0 && link_smbus_gives(call->size, call->read_write))
		memcpy(call->data, &data, length);
	return answer(result, 0);
}

static int messages(struct shim_file *file, const struct i2c_rdwr_ioctl_data *call)
{
	if (call->msgs == NULL || call->nmsgs == 0 || call->nmsgs > LINK_MESSAGES_MAX)
		return answer(-EINVAL, 0);
	for (unsigned i = 0; i < call->nmsgs; i++)
		if (call->msgs[i].flags & I2C_M_RECV_LEN)
			return answer(-EOPNOTSUPP, 0);
	return answer(transfer(file, call->msgs, call->nmsgs), call->nmsgs);
}

#define MODE_OF(flags, mode) \
	va_list rest; \
	va_start(rest, flags); \
	const mode_t mode = (flags) & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
	va_end(rest)

int open(const char *path, int flags, ...)
{
	struct shim_bus *bus = claimed(path);

	MODE_OF(flags, mode);
	return bus != NULL ? open_claimed(bus) : real_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	struct shim_bus *bus = claimed(path);

	MODE_OF(flags, mode);
	return bus != NULL ? open_claimed(bus) : real_open64(path, flags, mode);
}

int close(int fd)
{
	pthread_once(&prepared, prepare);
	if (fd >= 0 && fd < FILES_MAX)
		__atomic_store_n(&files[fd].bus, NULL, __ATOMIC_RELEASE);
	return real_close(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
	struct shim_file *file = file_of(fd);
	va_list rest;
	void *argument;
	int result;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	if (file == NULL)
		return real_ioctl(fd, request, argument);
	switch (request) {
	case I2C_FUNCS:
		*(unsigned long *)argument = LINK_FUNCTIONS;
		return 0;
	case I2C_SMBUS:
		return smbus(file, argument);
	case I2C_RDWR:
		return messages(file, argument);
	default:
		result = link_setting(&file->file, request, (unsigned long)argument);
		return answer(result > 0 ? -ENOTTY : result, 0);
	}
}

ssize_t read(int fd, void *bytes, size_t length)
{
	struct shim_file *file = file_of(fd);

	return file != NULL ? move(file, I2C_M_RD, bytes, length) : real_read(fd, bytes, length);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	struct shim_file *file = file_of(fd);

	return file != NULL ? move(file, 0, (uint8_t *)bytes, length) : real_write(fd, bytes, length);
}

// A bus has no offset: the kernel's i2c-dev ignores it too. Node reads and writes with one.
ssize_t pread64(int fd, void *bytes, size_t length, off_t offset)
{
	struct shim_file *file = file_of(fd);

	return file != NULL ? move(file, I2C_M_RD, bytes, length) : real_pread(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
	struct shim_file *file = file_of(fd);

	return file != NULL ? move(file, 0, (uint8_t *)bytes, length) : real_pwrite(fd, bytes, length, offset);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset) __attribute__((alias("pread64")));
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) __attribute__((alias("pwrite64")));
