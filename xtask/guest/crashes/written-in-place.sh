# The same without removing anything: dd writes into the pages that are executed, as rsync --inplace does; what it
# writes is no code. (A null pointer would be taken for a bug of the library's own.)
#: {"class": "overwritten", "confidence": "likely", "says": "was opened for writing while it ran", "victim": "geo_user", "changed": "libgeo.so", "path": "$D/libgeo.so", "how": "open(2) for writing", "old": {"most": 131072}, "new": {"most": 131072}, "culprit": "dd", "cmdline": "dd if=none of=libgeo.so conv=notrunc", "parents": ["sh", "init"], "signal": "ILL_ILLOPN", "disposition": "default", "outcome": "killed", "exit": "signal 4", "count": 1, "complete": true}
#+arm64: {"signal": "ILL_ILLOPC"}
. /lib.sh
. /geo.sh
head -c 12288 /dev/zero | tr '\0' '\377' >none
using geo_height
dd if=none of=libgeo.so conv=notrunc
: >libgeo.so.go
wait $victim
