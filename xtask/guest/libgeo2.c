// so: its next version: a function more, which stands where another one was.
struct record {
    char name[8];
    int height;
};

// The weight of a record that must not be null.
int geo_weight(const struct record *record) {
    int weight = 0;
    for (int i = 0; i < 8; i++)
        weight += record->name[i] * record->height;
    return weight;
}

// The height of a record, or -1 where there is none.
int geo_height(const struct record *record) { return record ? record->height : -1; }
