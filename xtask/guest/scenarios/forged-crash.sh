# A process sends itself what looks like a crash, by each of the calls; then real ones, which are told from it: a fault, one
# that its handler sends again, and a system call that a filter forbids. Of one that may be sent by that call nothing tells.
#fs: tmpfs
#asks: signals
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label crash 11", "parents": ["sh", "init"], "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label crash 4", "parents": ["sh", "init"], "signal": "ILL_ILLOPC", "disposition": "default", "outcome": "killed", "exit": "signal 4", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label crash 8", "parents": ["sh", "init"], "signal": "FPE_INTDIV", "disposition": "default", "outcome": "killed", "exit": "signal 8", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label crash 5", "parents": ["sh", "init"], "signal": "TRAP_BRKPT", "disposition": "default", "outcome": "killed", "exit": "signal 5", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label crash 31", "parents": ["sh", "init"], "signal": "SYS_SECCOMP", "disposition": "default", "outcome": "killed", "exit": "signal 31", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label thread 11", "parents": ["sh", "init"], "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label thread 4", "parents": ["sh", "init"], "signal": "ILL_ILLOPC", "disposition": "default", "outcome": "killed", "exit": "signal 4", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "sent", "confidence": "proven", "victim": "send", "culprit": "send", "cmdline": "send $D/label thread 8", "parents": ["sh", "init"], "signal": "FPE_INTDIV", "disposition": "default", "outcome": "killed", "exit": "signal 8", "count": 1, "complete": true, "says": "with a forged si_code of 1"}
#: {"class": "signal", "confidence": "likely", "victim": "send", "signal": "SYS_SECCOMP", "disposition": "default", "outcome": "killed", "exit": "signal 31", "count": 1, "complete": true, "says": "or it made that up"}
#: {"class": "signal", "confidence": "proven", "victim": "send", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true, "says": "accessed address 0x10"}
#: {"class": "signal", "confidence": "proven", "victim": "send", "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true, "says": "accessed address 0x10"}
#: {"class": "signal", "confidence": "proven", "victim": "send", "signal": "SYS_SECCOMP", "disposition": "default", "outcome": "killed", "exit": "signal 31", "count": 1, "complete": true, "says": "its seccomp filter forbids"}
#: {"class": "signal", "confidence": "likely", "victim": "send", "signal": "SYS_SECCOMP", "disposition": "default", "outcome": "killed", "exit": "signal 31", "count": 1, "complete": true, "says": "or it made that up"}
. /lib.sh
for number in 11 4 8 5 31; do send "$D/label" crash $number; done
for number in 11 4 8 31; do send "$D/label" thread $number; done
for how in fault resent forbidden filtered; do send "$D/label" $how; done
