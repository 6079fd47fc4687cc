// so: an extension module of Python, by the names that its ABI has: without its headers.
struct object {
    long count;
    void *type;
};
struct method {
    const char *name;
    void *(*call)(struct object *, struct object *);
    int flags;
    const char *doc;
};
struct definition {
    struct object base;
    void *init;
    long index;
    void *copy;
    const char *name;
    const char *doc;
    long size;
    struct method *methods;
    void *slots, *traverse, *clear, *free;
};
extern void *PyModule_Create2(struct definition *, int);
extern void *PyLong_FromLong(long);

static void *height(struct object *self, struct object *none) {
    (void)self, (void)none;
    return PyLong_FromLong(1700);
}

// METH_NOARGS is 4.
static struct method methods[] = {{"height", height, 4, 0}, {0, 0, 0, 0}};
static struct definition module = {.base = {1, 0}, .name = "pygeo", .size = -1, .methods = methods};

void *PyInit_pygeo(void) { return PyModule_Create2(&module, 1013); }
