# memory.oom.group: whoever is in the memory cgroup dies with the one that was chosen.
#fs: ext4
#asks: signals
#: {"class": "oom-killed", "confidence": "proven", "victim": "worker", "culprit": "worker", "parents": ["sh", "init"], "cmdline": "worker hog $D/label", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 9", "count": 1, "complete": true, "ran_out": "cgroup", "chosen": {"in": ["itself", "another"]}, "limit": 8388608, "of": "/together", "says": "its memory cgroup was at its limit of 8 MiB ("}
#: {"class": "oom-killed", "confidence": "proven", "victim": "worker", "culprit": "worker", "parents": ["sh", "init"], "cmdline": "worker hog $D/label", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 9", "count": 1, "complete": true, "ran_out": "cgroup", "chosen": {"in": ["itself", "another"]}, "limit": 8388608, "of": "/together", "says": "its memory cgroup was at its limit of 8 MiB ("}
#+signal-alone: {"confidence": "likely", "culprit": "worker", "parents": ["sh", "init"], "cmdline": {"any": true}, "ran_out": null, "chosen": null, "limit": {"any": true}, "of": {"any": true}, "says": "killed by the OOM killer"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || exit 99
mkdir -p /sys/fs/cgroup/together
echo 8M >/sys/fs/cgroup/together/memory.max || exit 99
echo 1 >/sys/fs/cgroup/together/memory.oom.group || exit 99
inside='echo $$ >/sys/fs/cgroup/together/cgroup.procs; exec worker "$@"'
sh -c "$inside" sh wait "$D/label" &
waiting=$!
sh -c "$inside" sh hog "$D/label"
# SIGKILL
[ $? = 137 ] || exit 99
wait $waiting
[ $? = 137 ] || exit 99
rmdir /sys/fs/cgroup/together
