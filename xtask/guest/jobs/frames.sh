# Victims in C, C++, Rust and Go (xtask/guest/frames), each cut short by its own program, and each with a core dump: gdb is
# asked for its stack as whybus is (xtask/src/guest/victims.rs).
. /facts.sh
: >/results/statuses
mkdir -p /victims /usr/lib/debug /mnt/ext4/frames
mount -o ro /dev/vde /victims
mount --bind /victims/debug /usr/lib/debug
cp /victims/list /results/victims
cd /mnt/ext4/frames || exit
# As on a host where they run: what is read for the first time comes from a slow disk.
cat /victims/bin/* /victims/lib/* /victims/debug/.build-id/*/* /lib/*-linux-gnu/libc.so.6 >/dev/null 2>&1
echo '/results/core.%e' >/proc/sys/kernel/core_pattern
ulimit -c unlimited
# abort(3) as well: a handler may end so.
whybus trace --signals abrt --no-warnings -o json --save /results/stream >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
while read -r name how rest; do
    head -c 1048576 /dev/zero >$name.db
    /victims/bin/$name read $PWD/$name.db 81920 $how 2>>/results/said &
    victim=$!
    until [ -e $name.db.ready ] || ! kill -0 $victim; do sleep 0.02; done
    /victims/bin/$name cut $PWD/$name.db || echo "$name: nothing was cut" >>/results/statuses
    wait $victim
    echo "$name $?" >>/results/ended
done </victims/list
sleep 1
kill -TERM $tracer
wait $tracer
whybus replay --utc /results/stream >/results/replay.human 2>&1

# A few threads that end at once: the one that failed is asked for its stack, whoever is last.
whybus trace --signals segv --no-warnings -o json --save /results/threads.stream >/results/threads.json 2>/results/threads.err &
tracer=$!
until [ -s /results/threads.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
threads 60 2>>/results/statuses || echo "threads: $?" >>/results/statuses
sleep 3
kill -TERM $tracer
wait $tracer

# Two threads of which one has failed before, and leaves as somebody's signal ends the process.
whybus trace --signals segv --no-warnings -o json >/results/leave.json 2>/results/leave.err &
tracer=$!
until [ -s /results/leave.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
threads leave 100 2>>/results/statuses || echo "threads leave: $?" >>/results/statuses
sleep 3
kill -TERM $tracer
wait $tracer
