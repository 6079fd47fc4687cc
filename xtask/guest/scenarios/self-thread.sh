# Another thread of the victim did it.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated-by-self", "victim": "self_thread", "offset": 80000, "size": 4096, "path": "$D/live", "how": "truncate", "old": 262144, "new": 4096, "culprit": "self_thread", "cmdline": "self_thread $D/live", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 262144
self_thread "$D/live"
