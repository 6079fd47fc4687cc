# Crashes of code that somebody changed, and of code that nobody did: every script of /crashes on every file system,
# one tracer watching all of them.
for file in ran skipped statuses; do : >/results/$file; done
. /facts.sh
whybus trace --signals segv,ill,trap,fpe -o json --save /results/stream >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
for script in /crashes/*.sh; do
    name=$(basename "$script" .sh)
    needs=$(busybox sed -n 's/^#needs: //p' "$script")
    if [ -n "$needs" ] && ! eval "$needs"; then
        echo "$name" >>/results/skipped
        continue
    fi
    for fs in ext4 tmpfs; do
        dir=/mnt/$fs/$name
        mkdir -p "$dir"
        echo "$name $fs" >>/results/ran
        busybox timeout 90 /bin/sh "$script" "$dir" || echo "$name $fs: status $?" >>/results/statuses
    done
done
sleep 1
kill -TERM $tracer
wait $tracer
whybus replay -o json /results/stream >/results/replay.json
whybus replay --utc /results/stream >/results/replay.human 2>&1
