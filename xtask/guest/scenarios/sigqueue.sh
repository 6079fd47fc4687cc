# A signal by sigqueue(3).
#fs: tmpfs
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label sigqueue", "parents": ["sh", "init"], "signal": "SI_QUEUE", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
send "$D/label" sigqueue
