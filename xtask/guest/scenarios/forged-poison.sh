# A process sends itself what looks like poisoned memory: nothing else tells that from the kernel's word.
#fs: tmpfs
#: {"class": "memory-failure", "confidence": "likely", "victim": "send", "signal": "BUS_MCEERR_AR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
send "$D/label" poison
