# A damaged stack pointer, from which it takes where to go on: no stack has overflowed.
#needs: [ "$(uname -m)" = x86_64 ]
#: {"class": "signal", "confidence": "proven", "says": "it used address 0x414141410, where nothing is mapped", "victim": "refused", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
. /lib.sh
refused "$D/x" stack
