// separate: -g
// Static and stripped: names and lines are in a file of their own, which its build id leads to.
#include "lookup.h"
