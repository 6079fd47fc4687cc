// socket_map LABEL: maps a TCP socket, as who receives without copying does (TCP_ZEROCOPY_RECEIVE), and touches what
// was never received.
#include <sys/socket.h>

#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0, "socket");
    volatile char *p = mmap(0, 8192, PROT_READ, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    (void)p[5];
    return 99;
}
