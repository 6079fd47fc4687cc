# cp from a script, while a reader loops: the size at the fault is whatever cp had got to.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": {"in": [0, 4096]}, "path": "$D/live", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "cp", "cmdline": "cp $D/new $D/live", "parents": ["update.sh", "sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
make new 4096
printf '#!/bin/sh\ncp "$PWD/new" "$PWD/live"\nexit 0\n' >update.sh
chmod +x update.sh
reading "$D/live" 81000
./update.sh
wait $victim
