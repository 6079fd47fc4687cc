# Shared anonymous memory made longer by mremap: the object behind it stays as it was.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "mapped-past-end", "confidence": "proven", "victim": "grown", "access": "write", "offset": 196613, "size": 65536, "path": "dev/zero"}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
grown "$D/label"
