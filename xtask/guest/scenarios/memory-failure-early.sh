# Poisoned memory of two processes, one of which has asked to hear of before it touches it (PR_MCE_KILL_EARLY). The
# other hears at once from 6.11 (mm/madvise.c madvise_inject_error: MF_ACTION_REQUIRED), before as it touches it.
#fs: tmpfs
#needs: grep -q ' memory_failure$' /proc/kallsyms
#: {"class": "memory-failure", "confidence": "proven", "victim": "poison", "signal": {"in": ["BUS_MCEERR_AR", "BUS_MCEERR_AO"]}, "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#: {"class": "memory-failure", "confidence": "proven", "victim": "poison", "signal": {"in": ["BUS_MCEERR_AR", "BUS_MCEERR_AO"]}, "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
poison "$D/label" early
