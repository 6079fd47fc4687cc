# Poisoned memory. The cloud kernels 5.10 and 6.1 are built without CONFIG_MEMORY_FAILURE.
#fs: tmpfs
#needs: grep -q ' memory_failure$' /proc/kallsyms
#: {"class": "memory-failure", "confidence": "proven", "victim": "poison", "signal": "BUS_MCEERR_AR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
poison "$D/label"
