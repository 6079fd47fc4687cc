# Shared memory beyond the limit of its memory cgroup: that is the OOM killer's business (mm/shmem.c gives VM_FAULT_OOM), and no bus error.
#fs: tmpfs
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || exit 99
mkdir -p /sys/fs/cgroup/small
echo 8M >/sys/fs/cgroup/small/memory.max || exit 99
truncate -s 32M segment
sh -c 'echo $$ >/sys/fs/cgroup/small/cgroup.procs; exec writer "$1"' sh "$D/segment"
# SIGKILL
[ $? = 137 ] || exit 99
grep -q "oom_kill 1" /sys/fs/cgroup/small/memory.events || exit 99
rm segment
rmdir /sys/fs/cgroup/small
