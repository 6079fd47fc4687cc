# The same on arm64, whose instructions are not looked at: the kernel's si_code tells as much as there is.
#needs: [ "$(uname -m)" = aarch64 ]
#: {"class": "signal", "confidence": "proven", "says": "the CPU refused the instruction", "victim": "refused", "disposition": "default", "outcome": "killed", "count": 1, "complete": true, "signal": "ILL_ILLOPC", "exit": "signal 4"}
#: {"class": "signal", "confidence": "proven", "says": "it ran into a breakpoint", "victim": "refused", "disposition": "default", "outcome": "killed", "count": 1, "complete": true, "signal": "TRAP_BRKPT", "exit": "signal 5"}
#: {"class": "signal", "confidence": "proven", "says": "the CPU refused the instruction", "victim": "refused", "disposition": "default", "outcome": "killed", "count": 1, "complete": true, "signal": "ILL_ILLOPC", "exit": "signal 4"}
#: {"class": "signal", "confidence": "proven", "says": "where nothing is mapped", "victim": "refused", "disposition": "default", "outcome": "killed", "count": 1, "complete": true, "signal": "SEGV_MAPERR", "exit": "signal 11"}
#: {"class": "signal", "confidence": "proven", "says": "where nothing is mapped", "victim": "refused", "disposition": "default", "outcome": "killed", "count": 1, "complete": true, "signal": "SEGV_MAPERR", "exit": "signal 11"}
. /lib.sh
for how in trap breakpoint privileged call pointer; do refused "$D/x" $how; done
