// dynamic: memcpy is a function of the C library, and nothing but its unwind tables tells who called it.
#include "lookup.h"
