# A short-lived unit on a host with v1 hierarchies only, and on one that has v2 beside them.
D=/mnt/ext4/cgroups
mkdir -p $D
watched() {
    whybus trace -o json --save "/results/$1.stream" >"/results/$1.json" 2>"/results/$1.err" &
    tracer=$!
    until [ -s "/results/$1.json" ]; do sleep 0.05; done
    for i in 1 2 3; do moved /sys/fs/cgroup/pids/system.slice/geo.service /bin/empty_write $D/f; done
    # Without a cgroup of its own, in one that is renamed.
    mkdir /sys/fs/cgroup/pids/old
    mv /sys/fs/cgroup/pids/old /sys/fs/cgroup/pids/new
    sh -c 'echo $$ >/sys/fs/cgroup/pids/new/cgroup.procs; exec empty_write "$1"' sh $D/f
    rmdir /sys/fs/cgroup/pids/new
    sleep 1
    kill -TERM $tracer
    wait $tracer
}
busybox mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/pids /sys/fs/cgroup/unified
busybox mount -t cgroup -o pids none /sys/fs/cgroup/pids
mkdir /sys/fs/cgroup/pids/system.slice
watched v1
busybox mount -t cgroup2 none /sys/fs/cgroup/unified
mkdir /sys/fs/cgroup/unified/system.slice
watched hybrid
