# An empty file, a page of it mapped, one write.
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
empty_write "$D/f"
