# A recursion without an end.
#: {"class": "signal", "confidence": "proven", "says": "frames are the same call", "victim": "deep", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
# Which register is the stack pointer is known of x86 only.
#+arm64: {"says": "where nothing is mapped"}
#+linux-5.10: {"says": "where nothing is mapped"}
. /lib.sh
deep "$D/x"
