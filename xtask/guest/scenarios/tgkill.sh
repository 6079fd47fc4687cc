# A signal by tgkill(2), as raise(3) and pthread_kill(3) send it.
#fs: tmpfs
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label tgkill", "parents": ["sh", "init"], "signal": "SI_TKILL", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
send "$D/label" tgkill
