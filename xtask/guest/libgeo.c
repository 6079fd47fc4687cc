// so: a library as Go programs call them, with a bug.
struct record {
    char name[8];
    int height;
};

// The height of a record that must not be null.
int geo_height(const struct record *record) { return record->height; }
