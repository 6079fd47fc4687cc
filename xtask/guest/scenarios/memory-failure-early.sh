# Poisoned memory of two processes, one of which has asked to hear of before it touches it (PR_MCE_KILL_EARLY).
#fs: tmpfs
#needs: grep -q ' memory_failure$' /proc/kallsyms
#: {"class": "memory-failure", "confidence": "proven", "victim": "poison", "signal": "BUS_MCEERR_AR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#: {"class": "memory-failure", "confidence": "proven", "victim": "poison", "signal": "BUS_MCEERR_AO", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
poison "$D/label" early
