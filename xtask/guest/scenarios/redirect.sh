# : >FILE, by the shell itself.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 5000, "size": 0, "path": "$D/live", "how": "open(O_TRUNC)", "old": 8192, "new": 0, "culprit": "sh", "cmdline": "/bin/sh /scenarios/redirect.sh $D", "parents": ["init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 8192
reading "$D/live" 5000
: >live
wait $victim
