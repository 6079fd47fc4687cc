# Shared memory that a client made and handed over, as to a compositor, which maps more than it has.
#fs: tmpfs
#: {"class": "mapped-past-end", "confidence": "proven", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "victim": "passed", "offset": 160000, "size": 8192, "path": "memfd:wl_shm", "sized_by": "client"}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
passed "$D/label"
