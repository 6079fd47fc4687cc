# The shrink falls between fstat and mmap: nobody maps the file when it happens.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "victim": "late_mmap", "offset": 81000, "size": 4096, "path": "$D/live", "how": "ftruncate", "old": 102400, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 live", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
late_mmap "$D/live" 81000 &
await live.ready
truncate -s 4096 live
: >live.go
wait
