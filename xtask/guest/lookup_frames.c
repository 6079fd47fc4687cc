// gcc: -fno-omit-frame-pointer -fno-asynchronous-unwind-tables
// Static, with frame pointers, its own functions without unwind tables.
#include "lookup.h"
