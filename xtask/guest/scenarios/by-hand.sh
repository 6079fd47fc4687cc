# cp by somebody who logged in, on a terminal: root by su(1), which leaves the login uid as it was.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": {"in": [0, 4096]}, "path": "$D/live", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "cp", "cmdline": "cp new live", "parents": ["script", "sh", "init"], "login_uid": 1000, "session": true, "tty": "pts/0"}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
make new 4096
reading "$D/live" 81000
by_hand 1000 "exec cp new live"
wait $victim
