/* Any bytes as a configuration file: taken or refused with a message, never more. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontends/main/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;
	char err[CONFIG_ERR_MAX] = "";
	struct config *c = NULL;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (config_load(path, &c, err)) {
		if (!*err || c)
			abort();
		return 0;
	}
	if (config_number(c, "http.pool") < 32768)
		abort();
	config_free(&c);
	return 0;
}
