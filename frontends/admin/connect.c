/* admin.sock, client side: for the command line. See admin.h. */
#include "frontends/admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontends/admin/socket_path.h"

void admin_socket_address(int folder_fd, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" ADMIN_SOCKET_NAME, folder_fd);
}

enum gh_status admin_socket_connect(const char *folder, int *ret_fd, char *err)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, why;
	struct sockaddr_un addr;

	if (dir < 0) {
		why = errno;
		snprintf(err, 256, "%.150s: %s", folder, strerror(why));
		return why == ENOENT ? GH_NOTFOUND : GH_IO;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	admin_socket_address(dir, &addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		why = errno;
		if (fd >= 0)
			close(fd);
		close(dir);
		if (why == ENOENT || why == ECONNREFUSED) {
			snprintf(err, 256, "no gatehouse serves %.150s", folder);
			return GH_NOTFOUND;
		}
		snprintf(err, 256, "%.150s/" ADMIN_SOCKET_NAME ": %s", folder, strerror(why));
		return GH_IO;
	}
	close(dir);
	*ret_fd = fd;
	return GH_OK;
}
