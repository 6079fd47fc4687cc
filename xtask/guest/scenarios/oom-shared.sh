# A child of vfork(2) takes more memory than its cgroup may have: its parent has the same memory, and dies with it.
#fs: ext4
#asks: signals
#: {"class": "oom-killed", "confidence": "proven", "victim": "vforked", "culprit": "vforked", "parents": {"in": [["vforked", "sh", "init"], ["sh", "init"], ["init"]]}, "cmdline": "vforked $D/label", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 9", "count": 1, "complete": true, "ran_out": "cgroup", "chosen": {"in": ["itself", "another"]}, "limit": 8388608, "of": "/small", "says": "its memory cgroup was at its limit of 8 MiB ("}
#: {"class": "oom-killed", "confidence": "proven", "victim": "vforked", "culprit": "vforked", "parents": {"in": [["vforked", "sh", "init"], ["sh", "init"], ["init"]]}, "cmdline": "vforked $D/label", "signal": "SI_KERNEL", "disposition": "default", "outcome": "killed", "exit": "signal 9", "count": 1, "complete": true, "ran_out": "cgroup", "chosen": {"in": ["itself", "another"]}, "limit": 8388608, "of": "/small", "says": "its memory cgroup was at its limit of 8 MiB ("}
#+signal-alone: {"class": {"in": ["oom-killed", "sent"]}, "confidence": "likely", "culprit": "vforked", "parents": {"in": [["vforked", "sh", "init"], ["sh", "init"], ["init"]]}, "cmdline": {"any": true}, "ran_out": null, "chosen": null, "limit": {"any": true}, "of": {"any": true}, "says": "the OOM killer"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || exit 99
mkdir -p /sys/fs/cgroup/small
echo 8M >/sys/fs/cgroup/small/memory.max || exit 99
sh -c 'echo $$ >/sys/fs/cgroup/small/cgroup.procs; exec vforked "$1"' sh "$D/label"
# SIGKILL
[ $? = 137 ] || exit 99
rmdir /sys/fs/cgroup/small || { linger; rmdir /sys/fs/cgroup/small; }
