# Somebody opens it for writing, and writes nothing: a bug of its own.
#: {"class": "signal", "confidence": "proven", "says": "a null pointer", "victim": "geo_user", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true, "stdout": "null", "stderr": "null"}
. /lib.sh
. /geo.sh
using geo_depth
sleep 0.1
: 3<>libgeo.so
: >libgeo.so.go
wait $victim
