# A unit takes more memory than it may have, and its cgroup is removed as soon as it is dead.
#fs: ext4
#asks: signals
#: {"class": "oom-killed", "confidence": "proven", "victim": "worker", "culprit": "worker", "parents": ["moved", "sh", "init"], "cmdline": "/bin/worker hog $D/label", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 9", "count": 1, "complete": true, "cgroup": "/system.slice/hog.service", "unit": "hog.service", "ran_out": "cgroup", "chosen": "itself", "limit": 8388608, "of": "/system.slice/hog.service", "says": "its memory cgroup was at its limit of 8 MiB ("}
#+signal-alone: {"confidence": "likely", "culprit": "worker", "parents": ["moved", "sh", "init"], "cmdline": {"any": true}, "ran_out": null, "chosen": null, "limit": {"any": true}, "of": {"any": true}, "says": "killed by the OOM killer"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || exit 99
mkdir -p /sys/fs/cgroup/system.slice
echo +memory >/sys/fs/cgroup/system.slice/cgroup.subtree_control || exit 99
# The limit is there before the program, as service managers have it.
LIMIT=8M moved /sys/fs/cgroup/system.slice/hog.service /bin/worker hog "$D/label"
# SIGKILL
[ $? = 137 ] || exit 99
rmdir /sys/fs/cgroup/system.slice
