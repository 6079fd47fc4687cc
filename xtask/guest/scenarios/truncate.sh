# truncate -s: an open file, ftruncate(2).
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 80000, "size": 100, "path": "$D/live", "how": "ftruncate", "old": 131072, "new": 100, "culprit": "truncate", "cmdline": "truncate -s 100 live", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 131072
reading "$D/live" 80000
truncate -s 100 live
wait $victim
