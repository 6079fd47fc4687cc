# The cp case under lockdown=confidentiality. The file is of a realistic size: on 5.10 the
# command line of cp comes from /proc, while it copies.
whybus trace -o json >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ]; do sleep 0.05; done
for fs in ext4 tmpfs; do
    dir=/mnt/$fs/cp-lockdown
    mkdir -p "$dir"
    echo "cp-lockdown $fs" >>/results/ran
    busybox timeout 60 /bin/sh /lockdown/cp-lockdown.sh "$dir" || echo "$fs: status $?" >>/results/statuses
done
sleep 1
kill -TERM $tracer
wait $tracer
echo "$?" >/results/trace.status
cat /sys/kernel/security/lockdown >/results/lockdown
