/* Where admin.sock is. A socket address holds 107 bytes and a data directory may be longer, so the address goes through
 * the directory's descriptor. */
#ifndef GH_FRONTENDS_ADMIN_SOCKET_PATH_H
#define GH_FRONTENDS_ADMIN_SOCKET_PATH_H

#include <sys/un.h>

#define ADMIN_SOCKET_NAME "admin.sock"

void admin_socket_address(int folder_fd, struct sockaddr_un *ret);

#endif
