# Python's open(..., "w").
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "python3.11", "cmdline": "python3.11 -c open('live', 'w').close()", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reading "$D/live" 81000
python3.11 -c "open('live', 'w').close()"
wait $victim
