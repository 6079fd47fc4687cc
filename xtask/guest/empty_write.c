// The classic: an empty file, a page mapped of it, one write.
#include <fcntl.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    p[0] = 1;
    return 0;
}
