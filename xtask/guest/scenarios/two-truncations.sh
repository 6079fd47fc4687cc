# Two processes shrink it; only the first removed this offset.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/live", "how": "ftruncate", "old": 102400, "new": 40960, "culprit": "truncate", "cmdline": "truncate -s 40960 live", "parents": ["sh", "init"], "others": [["truncate", 40960, 4096]]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reading "$D/live" 81000 wait
truncate -s 40960 live
truncate -s 4096 live
: >live.go
wait $victim
