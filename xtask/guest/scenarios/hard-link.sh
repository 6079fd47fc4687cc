# Shrunk under another name; the answer names the one the victim opened.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 5000, "size": 0, "path": "$D/live", "as": "$D/other", "how": "open(O_TRUNC)", "old": 8192, "new": 0, "culprit": "sh", "cmdline": "/bin/sh /scenarios/hard-link.sh $D", "parents": ["init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 8192
ln live other
reading "$D/live" 5000
: >other
wait $victim
