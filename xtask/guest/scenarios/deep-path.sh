# A path of 30 components.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 5000, "size": 0, "path": "$D/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/live", "how": "open(O_TRUNC)", "old": 8192, "new": 0, "culprit": "sh", "cmdline": "/bin/sh /scenarios/deep-path.sh $D", "parents": ["init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
deep=d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d
mkdir -p $deep
make $deep/live 8192
reading "$D/$deep/live" 5000
: >$deep/live
wait $victim
