# The cp case under lockdown=confidentiality. The file is of a realistic size: on 5.10 the
# command line of cp comes from /proc, while it copies.
for file in ran skipped statuses; do : >/results/$file; done
. /facts.sh
whybus trace -o json >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
for name in cp-lockdown driver-lockdown; do
    for fs in ext4 tmpfs; do
        dir=/mnt/$fs/$name
        mkdir -p "$dir"
        echo "$name $fs" >>/results/ran
        busybox timeout 60 /bin/sh "/lockdown/$name.sh" "$dir" || echo "$name $fs: status $?" >>/results/statuses
    done
done
sleep 1
kill -TERM $tracer
wait $tracer
echo "$?" >/results/trace.status
# What ends processes, too.
whybus trace --signals kill -o json >/results/oom.json 2>/results/oom.err &
tracer=$!
until [ -s /results/oom.json ]; do sleep 0.05; done
small=/sys/fs/cgroup/small
busybox mount -t cgroup2 none /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p $small
echo 8M >$small/memory.max
sh -c "echo \$\$ >$small/cgroup.procs; exec worker hog"
sleep 1
kill -TERM $tracer
wait $tracer
cat /sys/kernel/security/lockdown >/results/lockdown
