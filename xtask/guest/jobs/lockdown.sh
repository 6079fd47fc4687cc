# The cp case under lockdown=confidentiality. The file is of a realistic size: on 5.10 the
# command line of cp comes from /proc, while it copies.
for file in ran skipped statuses facts; do : >/results/$file; done
whybus trace -o json >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ]; do sleep 0.05; done
case $(uname -r) in 5.10.*) echo linux-5.10 >>/results/facts ;; esac
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
cat /sys/kernel/security/lockdown >/results/lockdown
