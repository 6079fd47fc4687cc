# A quotient that has no room: no zero is involved.
#needs: [ "$(uname -m)" = x86_64 ]
#: {"class": "signal", "confidence": "proven", "says": "or the quotient has no room", "victim": "refused", "signal": "FPE_INTDIV", "disposition": "default", "outcome": "killed", "exit": "signal 8", "count": 1, "complete": true}
. /lib.sh
refused "$D/x" divide
