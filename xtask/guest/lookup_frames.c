// gcc: -g -fno-omit-frame-pointer -fno-asynchronous-unwind-tables
// Static, with frame pointers, its own functions without unwind tables, and lines.
#include "lookup.h"
