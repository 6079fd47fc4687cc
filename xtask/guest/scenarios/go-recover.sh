# Go, the fault turned into a panic and recovered.
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "fault", "access": "read", "mode": "user", "offset": 3, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "survived", "exit": "status 0", "count": 1, "complete": true}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
fault "$D/f" recover
