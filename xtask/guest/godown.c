// godown DIRECTORY: shuts an xfs or ext4 down at once, as after an error (XFS_IOC_GOINGDOWN, EXT4_IOC_SHUTDOWN).
#include <stdint.h>
#include <sys/ioctl.h>

#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    uint32_t no_log_flush = 2;
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    check(ioctl(fd, _IOR('X', 125, uint32_t), &no_log_flush) == 0, "shutdown");
    return 0;
}
