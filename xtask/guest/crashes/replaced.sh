# A library that is replaced as it should be: the old one lives on, with its bug.
#: {"class": "signal", "confidence": "proven", "says": "a null pointer", "victim": "geo_user", "replaced": "libgeo.so", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
. /lib.sh
. /geo.sh
using geo_depth
mv new.so libgeo.so
: >libgeo.so.go
wait $victim
