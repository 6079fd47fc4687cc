// dynamic: geo_user LIBRARY FUNCTION: loads LIBRARY, calls geo_height of it, and FUNCTION once LIBRARY.go is there.
#include <dlfcn.h>

#include "common.h"

int main(int argc, char **argv) {
    check(argc > 2, "usage: geo_user LIBRARY FUNCTION");
    void *library = dlopen(argv[1], RTLD_NOW);
    check(library != NULL, argv[1]);
    int (*height)(const void *) = (int (*)(const void *))dlsym(library, "geo_height");
    int (*function)(const void *) = (int (*)(const void *))dlsym(library, argv[2]);
    check(height && function && height(NULL) == -1, argv[2]);
    say(argv[1], "ready");
    await(argv[1], "go");
    function(NULL);
    return 0;
}
