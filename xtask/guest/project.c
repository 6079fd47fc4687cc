// project FILE ID: makes a file one of a project, whose quota it counts against.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "common.h"

int main(int argc, char **argv) {
    check(argc > 2, "usage: project FILE ID");
    struct fsxattr attributes;
    int fd = open(argv[1], O_RDWR);
    check(fd >= 0, argv[1]);
    check(ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0, "FS_IOC_FSGETXATTR");
    attributes.fsx_projid = atoi(argv[2]);
    check(ioctl(fd, FS_IOC_FSSETXATTR, &attributes) == 0, "FS_IOC_FSSETXATTR");
    return 0;
}
