# A process sends itself what looks like a fault.
#fs: tmpfs
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label forge", "parents": ["sh", "init"], "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
send "$D/label" forge
