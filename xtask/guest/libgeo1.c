// so: the first version of a library.
struct record {
    char name[8];
    int height;
};

// The height of a record, or -1 where there is none.
int geo_height(const struct record *record) { return record ? record->height : -1; }

// The same with a bug.
int geo_depth(const struct record *record) { return -record->height; }
