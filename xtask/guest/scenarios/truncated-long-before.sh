# Who maps too much of a file that was truncated before it started, when nobody mapped it.
#: {"class": "truncated", "confidence": "likely", "victim": "too_much", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "path": "$D/live", "size": 0, "how": "ftruncate", "old": 102400, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 live", "parents": ["sh", "init"]}
#+signal-alone: {"class": "mapped-past-end", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
truncate -s 0 live
sleep 0.1
too_much "$D/live" 81000
