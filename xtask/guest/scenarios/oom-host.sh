# The whole host runs out of memory: who is willing (oom_score_adj) goes first.
#fs: ext4
#asks: signals
#: {"class": "oom-killed", "confidence": "proven", "victim": "worker", "culprit": {"any": true}, "parents": {"any": true}, "cmdline": {"any": true}, "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 9", "count": 1, "complete": true, "ran_out": "host", "chosen": "itself", "says": "the host ran out of memory ("}
#+signal-alone: {"confidence": "likely", "culprit": {"any": true}, "parents": {"any": true}, "cmdline": {"any": true}, "ran_out": null, "chosen": null, "limit": {"any": true}, "of": {"any": true}, "says": "killed by the OOM killer"}
. /lib.sh
sh -c 'echo 1000 >/proc/$$/oom_score_adj; exec worker gorge "$1"' sh "$D/label"
# SIGKILL
[ $? = 137 ] || exit 99
