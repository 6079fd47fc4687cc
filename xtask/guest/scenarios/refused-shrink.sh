# A shrink that the kernel refuses is taken back: it is neither the cause nor among the others.
#fs: tmpfs
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "sealed", "access": "read", "mode": "user", "offset": 100000, "size": 65536, "path": "memfd:sealed", "sized_by": "sealed", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
sealed "$D/label"
