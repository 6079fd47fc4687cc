# A pointer that no process can have: registers tell its value, which are not to be had before 5.15.
#needs: [ "$(uname -m)" = x86_64 ]
#: {"class": "signal", "confidence": "proven", "says": "it used address 0x4141414141414151, which no process can have", "victim": "refused", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
#+linux-5.10: {"confidence": "likely", "says": "the CPU does not say at which address"}
. /lib.sh
refused "$D/x" pointer
