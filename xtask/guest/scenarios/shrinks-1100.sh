# Between the truncation and the touch, 1100 other mapped files are shrunk: it must not be forgotten.
#fs: ext4
#needs: [ "$chosen" != '*' ]
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "ftruncate", "old": 102400, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 live", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reading "$D/live" 81000 wait
truncate -s 0 live
many_shrinks 1100
: >live.go
wait $victim
