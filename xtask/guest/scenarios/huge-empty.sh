# A huge page mapped without reserving it, and none in the pool.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "hugepages", "confidence": "proven", "victim": "huge", "access": "write", "offset": {"most": 5}, "size": 2097152, "path": "anon_hugepage"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
huge "$D/label" empty
linger
