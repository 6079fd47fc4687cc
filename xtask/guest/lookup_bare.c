// gcc: -s -O2
// Static and stripped: what is left are places in the file.
#include "lookup.h"
