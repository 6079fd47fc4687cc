# Of a loop of faults most signals are not sent. One that comes later is none of theirs.
#fs: ext4
#: {"class": "mapped-past-end", "confidence": "proven", "victim": "after_storm", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "survived", "count": 40, "path": "$D/live", "size": 0, "access": "read", "mode": "user", "offset": 0, "complete": true}
#: {"class": "sent", "confidence": "proven", "victim": "after_storm", "culprit": "after_storm", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "cmdline": "after_storm $D/live", "parents": ["sh", "init"], "complete": true}
#+signal-alone: [{"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}, null]
. /lib.sh
after_storm "$D/live"
linger
