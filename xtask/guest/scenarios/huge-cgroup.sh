# Huge pages are free, but the cgroup may have none.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "hugepages", "confidence": "proven", "victim": "huge", "access": "write", "offset": {"most": 5}, "size": 2097152, "path": "anon_hugepage", "says": "hugetlb limit is 0 B"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
echo +hugetlb >/sys/fs/cgroup/cgroup.subtree_control || exit 99
mkdir -p /sys/fs/cgroup/nohuge
echo 0 >/sys/fs/cgroup/nohuge/hugetlb.2MB.max || exit 99
echo 4 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
sh -c 'echo $$ >/sys/fs/cgroup/nohuge/cgroup.procs; exec huge "$1" empty' sh "$D/label"
linger
echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
rmdir /sys/fs/cgroup/nohuge
