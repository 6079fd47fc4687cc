# The same of shared memory, whose own handler fails as well: one fault all the same.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "userfaultfd", "confidence": "proven", "victim": "uffd", "access": "write", "offset": 7, "size": 65536, "path": "memfd:frames"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
uffd "$D/label" shared
