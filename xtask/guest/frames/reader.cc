//: cxx-dynamic vtable -O2 -g
//: cxx-static catch -O2 -g -static
//: cxx-pointers sort -O2 -g -static -fno-omit-frame-pointer
//: cxx-lto vtable -O2 -g -flto
//: cxx-symbols catch -O2
//: cxx-debug catch separate -O2 -g
//: cxx-elsewhere vtable elsewhere -O2 -g -static-libgcc -static-libstdc++
// PROGRAM read FILE OFFSET HOW, PROGRAM cut FILE: as reader.c, with templates, methods called through a table, and exceptions.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace geo {

struct Row {
    unsigned network, mask;
    char country[8];
    bool operator<(const Row &other) const { return network < other.network; }
};

struct Missing : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Database {
  public:
    virtual ~Database() = default;
    virtual long look_up(long offset, char how) = 0;
};

template <typename Record> class Mapped final : public Database {
  public:
    explicit Mapped(char *start) : start(start) {}
    long look_up(long offset, char how) override;

  private:
    [[gnu::noinline]] long sorted(Record *records);
    [[gnu::noinline]] long walked(long offset, int bit);
    const Record &at(long offset) const { return *reinterpret_cast<const Record *>(start + offset); }
    char *start;
};

// What a destructor does while an exception passes.
struct Undone {
    const volatile Row *row;
    [[gnu::noinline]] ~Undone() { asm volatile("" ::"r"(row->mask) : "memory"); }
};

template <typename Record> [[gnu::noinline]] void refuse(const Record *row) {
    Undone undone{row};
    asm volatile("" ::: "memory");
    throw Missing("no such network");
}

template <typename Record> long Mapped<Record>::sorted(Record *records) {
    std::sort(records, records + 64);
    return records->network;
}

template <typename Record> long Mapped<Record>::walked(long offset, int bit) {
    if (bit < 8)
        return walked(offset, bit + 1) + bit;
    return at(offset).network + bit;
}

template <typename Record> long Mapped<Record>::look_up(long offset, char how) {
    auto walk = [this, offset](int bit) { return walked(offset, bit) + bit; };
    std::function<long(int)> later = walk;
    switch (how) {
    case 's':
        return sorted(reinterpret_cast<Record *>(start + offset)) + 1;
    case 'c':
        try {
            refuse(&at(offset));
        } catch (const Missing &missing) {
            return std::strlen(missing.what());
        }
        return 0;
    default:
        return later(5) + 1;
    }
}

[[gnu::noinline]] static bool cut_short(const std::string &path) {
    int fd = open(path.c_str(), O_RDWR);
    bool done = fd >= 0 && ftruncate(fd, 4096) == 0;
    asm volatile("" ::: "memory");
    return done;
}

} // namespace geo

int main(int argc, char **argv) {
    if (argc == 3)
        return !geo::cut_short(argv[2]);
    if (argc != 5)
        return 98;
    struct stat st;
    int fd = open(argv[2], O_RDWR);
    if (fd < 0 || fstat(fd, &st) != 0)
        return 99;
    void *start = mmap(nullptr, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (start == MAP_FAILED)
        return 99;
    std::unique_ptr<geo::Database> database = std::make_unique<geo::Mapped<geo::Row>>(static_cast<char *>(start));
    asm volatile("" : "+m"(database));
    close(open((std::string(argv[2]) + ".ready").c_str(), O_WRONLY | O_CREAT, 0644));
    for (long sum = 0;; sum += database->look_up(std::atol(argv[3]), argv[4][0]))
        usleep(1000 + (sum & 1));
}
