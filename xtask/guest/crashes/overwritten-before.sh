# The same long before the victim started, while somebody else had it loaded: a bug of its own. Whoever had it
# loaded calls through a table that the dynamic linker had filled in, as it ends: gone with the rest of the file.
#: {"class": "signal", "confidence": "proven", "says": "a null pointer", "victim": "geo_user", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
#: {"class": "overwritten", "confidence": "likely", "says": "it jumped to where no code is", "victim": "geo_user", "path": "$D/libgeo.so", "how": "open(O_TRUNC)", "old": {"most": 131072}, "new": 0, "culprit": "cp", "cmdline": "cp new.so libgeo.so", "parents": ["sh", "init"], "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
. /lib.sh
. /geo.sh
ln libgeo.so other.so
geo_user "$D/other.so" geo_height &
other=$!
await other.so.ready
cp /lib/*-linux-gnu/libgeo1.so new.so
cp new.so libgeo.so
sleep 2.5
using geo_depth
: >libgeo.so.go
wait $victim
: >other.so.go
wait $other
