# Who starts while the file is being rewritten, and maps what it will have: that nobody truncated it is not proven.
#: {"class": "mapped-past-end", "confidence": "likely", "victim": "too_much", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "path": "$D/live", "size": 4096, "others": [["truncate", 8192, 0]]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 8192
truncate -s 0 live
head -c 4096 /dev/zero >>live
too_much "$D/live" 81000
