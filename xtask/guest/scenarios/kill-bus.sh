# kill -BUS: no memory access failed.
#: {"class": "sent", "confidence": "proven", "victim": "reader", "culprit": "sh", "cmdline": "/bin/sh /scenarios/kill-bus.sh $D", "parents": ["init"], "signal": "SI_USER", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
make live 8192
reading "$D/live" 5000
kill -BUS $victim
wait $victim
