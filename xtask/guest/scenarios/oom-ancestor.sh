# The limit that is reached is that of an ancestor; its own memory cgroup has one that is far away.
#fs: ext4
#asks: signals
#: {"class": "oom-killed", "confidence": "proven", "victim": "worker", "culprit": "worker", "parents": ["moved", "sh", "init"], "cmdline": "/bin/worker hog $D/label", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 9", "count": 1, "complete": true, "cgroup": "/outer/middle/inner", "ran_out": "cgroup", "chosen": "itself", "limit": 8388608, "of": "/outer", "says": "a memory cgroup above its own was at its limit of 8 MiB ("}
#+signal-alone: {"confidence": "likely", "culprit": "worker", "parents": ["moved", "sh", "init"], "cmdline": {"any": true}, "ran_out": null, "chosen": null, "limit": {"any": true}, "of": {"any": true}, "says": "killed by the OOM killer"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || exit 99
outer=/sys/fs/cgroup/outer
mkdir -p $outer/middle
echo +memory >$outer/cgroup.subtree_control || exit 99
echo +memory >$outer/middle/cgroup.subtree_control || exit 99
echo 8M >$outer/memory.max || exit 99
LIMIT=64M moved $outer/middle/inner /bin/worker hog "$D/label"
# SIGKILL
[ $? = 137 ] || exit 99
rmdir $outer/middle $outer
