# A signal that the kernel sends because a parent ended (PR_SET_PDEATHSIG): nobody called kill(2).
#: {"class": "sent", "confidence": "proven", "victim": "orphan", "culprit": "pdeath", "parents": ["sh", "init"], "signal": "SI_USER", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "says": "PR_SET_PDEATHSIG"}
. /lib.sh
pdeath "$D/label"
linger
