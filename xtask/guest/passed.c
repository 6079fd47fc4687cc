// passed LABEL: a client makes shared memory of 8 KiB and hands it over; the server believes that it is 256 KiB long.
#define _GNU_SOURCE
#include "common.h"
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct msghdr message(struct iovec *text, void *control, size_t len) {
    return (struct msghdr){.msg_iov = text, .msg_iovlen = 1, .msg_control = control, .msg_controllen = len};
}

int main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    int pair[2];
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec text = {&byte, 1};
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    if (fork() == 0) {
        prctl(PR_SET_NAME, "client");
        int fd = memfd_create("wl_shm", 0);
        check(fd >= 0 && ftruncate(fd, 8192) == 0, "memfd");
        struct msghdr sent = message(&text, control, sizeof control);
        struct cmsghdr *head = CMSG_FIRSTHDR(&sent);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
        check(sendmsg(pair[0], &sent, 0) == 1, "sendmsg");
        pause();
    }
    struct msghdr got = message(&text, control, sizeof control);
    check(recvmsg(pair[1], &got, 0) == 1, "recvmsg");
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&got)), sizeof fd);
    volatile char *p = map(fd, 262144);
    (void)p[5];
    (void)p[160000];
    return 99;
}
