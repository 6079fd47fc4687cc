# What it is written over with ends before its code: a bus error. (On arm64 its code begins in the first page, which is left.)
#: {"class": "truncated", "confidence": "proven", "victim": "geo_user", "access": "exec", "mode": "user", "offset": {"most": 131072}, "size": 100, "path": "$D/libgeo.so", "how": "open(O_TRUNC)", "old": {"most": 131072}, "new": 0, "culprit": "cp", "cmdline": "cp new.so libgeo.so", "parents": ["sh", "init"], "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#+arm64: {"class": "overwritten", "confidence": "likely", "says": "its code lies in a file that was written over", "access": null, "mode": null, "offset": null, "size": null, "new": 0, "signal": "ILL_ILLOPC", "exit": "signal 4"}
. /lib.sh
. /geo.sh
make new.so 100
using geo_height
cp new.so libgeo.so
: >libgeo.so.go
wait $victim
