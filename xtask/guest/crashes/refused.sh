# What the CPU refuses, told apart by the bytes of the instruction.
#needs: [ "$(uname -m)" = x86_64 ]
#: {"class": "signal", "confidence": "proven", "says": "it trapped on purpose: ud2", "victim": "refused", "signal": "ILL_ILLOPN", "disposition": "default", "outcome": "killed", "exit": "signal 4", "count": 1, "complete": true}
#: {"class": "signal", "confidence": "proven", "says": "it executed int3", "victim": "refused", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 5", "count": 1, "complete": true}
#: {"class": "signal", "confidence": "proven", "says": "it executed cli", "victim": "refused", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
#: {"class": "signal", "confidence": "proven", "says": "it called, or went on at, address 0x4242424242424242", "victim": "refused", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
#: {"class": "signal", "confidence": "likely", "says": "which looks like one of AVX-512", "victim": "refused", "signal": "ILL_ILLOPN", "disposition": "default", "outcome": "killed", "exit": "signal 4", "count": 1, "complete": true}
. /lib.sh
for how in trap breakpoint privileged call avx512; do refused "$D/x" $how; done
