// gcc: -I/usr/include/fuse3 -lfuse3 -lpthread -ldl
// fusey DIR: a FUSE server with one file, DIR/file, of 100 KiB. SIGUSR1 makes it 4 KiB long.
// Reads of DIR/file from 40 KiB on fail with EIO once DIR.eio is there. statfs(2) never returns once
// DIR.hang is, read(2) once DIR.mute is.
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <signal.h>
#include <stddef.h>

#include "common.h"

static volatile off_t size = 102400;
static const char *dir;

static void shrink(int signal) {
    (void)signal;
    size = 4096;
}

static int flag(const char *suffix) {
    char name[4096];
    struct stat st;
    snprintf(name, sizeof name, "%s.%s", dir, suffix);
    return stat(name, &st) == 0;
}

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *info) {
    (void)info;
    memset(st, 0, sizeof *st);
    if (!strcmp(path, "/")) {
        st->st_mode = S_IFDIR | 0755;
        st->st_nlink = 2;
        return 0;
    }
    if (strcmp(path, "/file"))
        return -ENOENT;
    st->st_mode = S_IFREG | 0644;
    st->st_nlink = 1;
    st->st_size = size;
    return 0;
}

static int on_open(const char *path, struct fuse_file_info *info) {
    (void)path;
    // Only with FUSE_ATOMIC_O_TRUNC does the flag come this far.
    if (info->flags & O_TRUNC)
        size = 0;
    return 0;
}

static int on_truncate(const char *path, off_t to, struct fuse_file_info *info) {
    (void)path, (void)info;
    size = to;
    return 0;
}

static int on_read(const char *path, char *out, size_t n, off_t at, struct fuse_file_info *info) {
    (void)path, (void)info;
    while (flag("mute"))
        sleep(1);
    if (at + (off_t)n > 40960 && flag("eio"))
        return -EIO;
    if (at >= size)
        return 0;
    if (at + (off_t)n > size)
        n = size - at;
    memset(out, 'x', n);
    return n;
}

static int on_write(const char *path, const char *in, size_t n, off_t at,
                    struct fuse_file_info *info) {
    (void)path, (void)in, (void)info;
    if (at + (off_t)n > size)
        size = at + n;
    return n;
}

static int on_statfs(const char *path, struct statvfs *out) {
    (void)path;
    while (flag("hang"))
        sleep(1);
    memset(out, 0, sizeof *out);
    return 0;
}

static void *on_init(struct fuse_conn_info *conn, struct fuse_config *config) {
    (void)conn;
    // Every stat(2) asks us.
    config->attr_timeout = 0;
    config->entry_timeout = 0;
    return NULL;
}

int main(int argc, char **argv) {
    check(argc > 1, "usage: fusey DIR");
    dir = argv[1];
    signal(SIGUSR1, shrink);
    static const struct fuse_operations operations = {
        .getattr = on_getattr, .open = on_open, .truncate = on_truncate,
        .read = on_read,       .write = on_write, .init = on_init,
        .statfs = on_statfs,
    };
    char *args[] = {argv[0], "-f", argv[1], NULL};
    return fuse_main(3, args, &operations, NULL);
}
