# A library is written over while it is loaded, and what is called next has moved.
#: {"class": "overwritten", "confidence": "likely", "says": "written over while it ran", "victim": "geo_user", "changed": "libgeo.so", "path": "$D/libgeo.so", "how": "open(O_TRUNC)", "old": {"most": 131072}, "new": 0, "culprit": "cp", "cmdline": "cp new.so libgeo.so", "parents": ["sh", "init"], "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
. /lib.sh
. /geo.sh
using geo_height
cp new.so libgeo.so
: >libgeo.so.go
wait $victim
