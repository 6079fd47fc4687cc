word() { busybox tr ' ' '\n' </proc/cmdline | busybox sed -n "s/^whybus\.$1=//p"; }
chosen=$(word only) repeat=$(word repeat) verbose=$(word verbose)
# Read by the judge, which takes nothing missing for nothing to say.
for file in ran times skipped statuses; do : >/results/$file; done
whole=yes
[ -z "$chosen" ] || { echo "$chosen" >/results/chosen; whole=; }
chosen=${chosen:-*}
# once pre|sh SCRIPT LABEL DIR: one run of a scenario.
once() {
    mkdir -p "$4"
    if [ "$1" = pre ]; then
        sh -c 'D=$1; . /lib.sh; . "$2"' sh "$4" "$2"
    else
        echo "$3" >>/results/ran
        read -r began rest </proc/uptime
        busybox timeout 90 /bin/sh "$2" "$4" || echo "$3: status $?" >>/results/statuses
        read -r ended rest </proc/uptime
        echo "$began $ended" >>/results/times
    fi
}
# each pre|sh [ASKS]: every scenario that asks for that (`#asks:`) on every file system, one tracer watching all of
# them.
each() {
    for script in /scenarios/*."$1"; do
        name=$(basename "$script" ".$1")
        eval "case \$name in $chosen) ;; *) continue ;; esac"
        [ "$(busybox sed -n 's/^#asks: //p' "$script")" = "$2" ] || continue
        needs=$(busybox sed -n 's/^#needs: //p' "$script")
        if [ -n "$needs" ] && ! eval "$needs"; then
            echo "$name" >>/results/skipped
            continue
        fi
        only=$(busybox sed -n 's/^#fs: //p' "$script")
        for fs in ${only:-ext4 tmpfs}; do
            if [ -z "$repeat" ]; then
                once "$1" "$script" "$name $fs" "/mnt/$fs/$name"
                continue
            fi
            run=1
            while [ $run -le "$repeat" ]; do
                once "$1" "$script" "$name $fs $run" "/mnt/$fs/$name.$run"
                # There is not room for all of them.
                [ "$1" = pre ] || rm -rf "/mnt/$fs/$name.$((run - 1))" 2>/dev/null
                run=$((run + 1))
            done
        done
    done
}
. /facts.sh
# What people see while a module comes, the clock is set and events are lost; a replay shows the same.
step() {
    dir=/mnt/ext4/step
    mkdir -p "$dir"
    whybus trace --utc --fail-every 7 --save /results/step.stream >/results/step.txt 2>&1 &
    tracer=$!
    until busybox grep -q 'watching ' /results/step.txt; do sleep 0.05; done
    busybox timeout 60 /bin/sh /scenarios/cp-sh.sh "$dir"
    for module in $(cat /modules.d/nfsv4 /modules.d/fuse); do busybox insmod "$module" 2>/dev/null; done
    until [ "$(busybox grep -c 'watching ' /results/step.txt)" -gt 1 ]; do sleep 0.05; done
    busybox date -s "@$(($(busybox date +%s) + 7200))" >/dev/null
    sleep 2
    rm -f "$dir"/*
    busybox timeout 60 /bin/sh /scenarios/cp-sh.sh "$dir"
    rm -f "$dir"/*
    # Long enough for somebody to look who maps it.
    (
        set -- "$dir"
        . /lib.sh
        make slow 102400
        reading "$dir/slow" 81000 wait
        truncate -s 4096 slow
        sleep 1
        : >slow.go
        wait $victim
    )
    busybox timeout 60 /bin/sh /scenarios/self-thread.sh "$dir"
    sleep 1
    kill -TERM $tracer
    wait $tracer
    busybox date -s "@$(($(busybox date +%s) - 7200))" >/dev/null
    whybus replay --utc /results/step.stream >/results/step-replay.txt 2>&1
}
[ -z "$whole" ] || step
each pre
sleep 1
# Blocked from before: SIGTERM must still end it (a shell's background job ignores SIGINT).
whybus trace ${verbose:+-v} -o json --save /results/stream >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
each sh
sleep 1
kill -TERM $tracer
wait $tracer
echo "$?" >/results/trace.status
# Ways to die that are told to who asks for them. Beside the tracer the OOM killer has others to choose.
whybus trace ${verbose:+-v} --signals kill,segv,ill,fpe,trap,sys -o json --save /results/ends.stream >/results/ends.json 2>/results/ends.err &
tracer=$!
echo -1000 >/proc/$tracer/oom_score_adj
until [ -s /results/ends.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
each sh signals
sleep 1
kill -TERM $tracer
wait $tracer
whybus replay -o json /results/ends.stream >/results/ends-replay.json
whybus replay -o json /results/stream >/results/replay.json
whybus replay --utc /results/stream >/results/replay.human 2>&1
[ -n "$whole" ] || return 0
whybus doctor -o json >/results/doctor.json

# With every third event dropped on purpose.
dir=/mnt/ext4/loss
mkdir -p "$dir"
whybus trace -o json --fail-every 3 >/results/loss.json 2>/results/loss.err &
tracer=$!
until [ -s /results/loss.json ]; do sleep 0.05; done
for i in 1 2 3 4; do busybox timeout 20 /bin/sh /scenarios/cp-sh.sh "$dir"; rm -f "$dir"/*; done
kill -INT $tracer
wait $tracer

# What the probes say of themselves.
dir=/mnt/ext4/log
mkdir -p "$dir"
whybus trace -v --utc -- sh /scenarios/cp-sh.sh "$dir" >/results/log.txt 2>/results/log.err

# Two whose parents end at once, so that they are adopted: a victim, and one that leaves nothing but its status.
empty=/mnt/ext4/adopted
: >$empty
whybus trace -o json --no-warnings -- sh -c "(sh -c 'sleep 1; exec empty_write $empty' &)
    (sleep 0.2 &)
    sleep 4
    cat /proc/[0-9]*/stat >/results/adopted.stat" >/results/adopted.json 2>&1
# A command of its own, whose status is passed on.
whybus trace -o json -- sh -c 'sh /scenarios/empty-write.sh /mnt/ext4; exit 42' >/results/command.json 2>&1
echo "$?" >/results/command.status
# Nobody reads any more: success.
whybus trace --duration 1 -o json | true
whybus trace -o json --duration 5 2>/results/pipe.err | head -c 1 >/dev/null
# Nobody reads, and nobody goes away: it watches on, and SIGTERM ends it. (`preempt` has more victims than a pipe has room for.)
mkfifo /tmp/stalled
busybox sleep 1000 </tmp/stalled &
sleeper=$!
mkdir -p /mnt/tmpfs/stalled
whybus trace -o json --no-warnings --save /tmp/stalled.stream >/tmp/stalled 2>/results/stalled.err &
tracer=$!
until [ -s /tmp/stalled.stream ] || ! kill -0 $tracer; do sleep 0.05; done
preempt /mnt/tmpfs/stalled 100
sleep 1
read -r began rest </proc/uptime
kill -TERM $tracer
wait $tracer
echo "$?" >/results/stalled.status
read -r ended rest </proc/uptime
echo "$began $ended" >/results/stalled.times
kill $sleeper
whybus replay -o json /tmp/stalled.stream >/results/stalled.json
# No privilege: 77.
busybox su -s /bin/sh nobody -c 'whybus trace' 2>/results/unprivileged
echo "$?" >/results/unprivileged.status
busybox su -s /bin/sh nobody -c 'whybus doctor' >/results/untried 2>&1
echo "$?" >/results/untried.status
# A kernel without BTF: 69.
busybox mount -t tmpfs none /sys/kernel/btf
whybus trace >/dev/null 2>/results/nobtf
echo "$?" >/results/nobtf.status
busybox umount /sys/kernel/btf
# Trampolines off: what can still be attached is, and the rest is named. (7.3 refuses to.)
echo 0 2>/dev/null >/proc/sys/kernel/ftrace_enabled
cat /proc/sys/kernel/ftrace_enabled >/results/ftrace
whybus trace -o json --duration 300ms >/results/partly.json 2>/results/partly
echo "$?" >/results/partly.status
whybus trace --require all --duration 300ms >/results/partly.required 2>&1
echo "$?" >/results/partly.required.status
whybus doctor >/results/partly.doctor 2>&1
echo "$?" >/results/partly.doctor.status
echo 1 >/proc/sys/kernel/ftrace_enabled
# Kprobes switched off under a watch that has nothing better, and on again: nobody tells who has them attached.
busybox mount -t debugfs debugfs /sys/kernel/debug
WHYBUS_REFUSE=trampolines whybus trace -o json >/results/switched.json 2>/results/switched.err &
tracer=$!
until [ -s /results/switched.json ]; do sleep 0.05; done
for on in 0 1; do
    echo $on >/sys/kernel/debug/kprobes/enabled
    sleep 1.5
done
kill -TERM $tracer
wait $tracer
busybox umount /sys/kernel/debug
# A task that loops on its fault, beside one that dies of its own.
dir=/mnt/ext4/storm
mkdir -p "$dir"
whybus trace -o json >/results/storm.json 2>/results/storm.err &
tracer=$!
until [ -s /results/storm.json ]; do sleep 0.05; done
looper "$dir/loop" 10 &
looper=$!
sleep 4
sh /scenarios/cp-sh.sh "$dir"
wait $looper
sleep 1
kill -TERM $tracer
wait $tracer
cat "$dir/loop.count" >/results/storm.count
# 600 victims that preempt one another in the kernel.
mkdir -p /mnt/tmpfs/preempt
whybus trace -o json --no-warnings -- preempt /mnt/tmpfs/preempt 300 >/results/preempt.json 2>/results/preempt.err
# Twelve victims of one user whose arguments nobody ever gets to read, among others of another, whose arguments are longer
# than the kernel reads: how late is each line, and how late beside twelve that answer? (/proc/uptime counts since boot,
# as boot_ns does.)
dir=/mnt/ext4/hang
mkdir -p "$dir"
mkfifo /tmp/hang
whybus trace -o json --no-warnings >/tmp/hang 2>/results/hang.err &
tracer=$!
while read -r line; do
    read -r uptime rest </proc/uptime
    echo "$uptime $line"
done </tmp/hang >/results/hang.lines &
(
    set -- "$dir"
    . /lib.sh
    . /fuse.sh
    ordinary() {
        : >"$1"
        stuck "$dir/$1" - 65534 $(busybox seq 200) &
        sleep 0.3
    }
    until [ -s /results/hang.lines ]; do sleep 0.05; done
    fuse "$dir/fuse" "$dir/arguments"
    # ordinary among twelve of the user UID: twelve UID ARGUMENTS NAME
    twelve() {
        for i in 1 2 3 4 5 6 7 8 9 10 11 12; do stuck "$dir/empty" "$2" $1 & done
        for i in 1 2 3 4 5; do ordinary $3.$i; done
        sleep 1
    }
    : >empty
    twelve 1001 - answering
    : >fuse.mute
    twelve 1000 "$dir/arguments" hanging
    kill -9 $server
    busybox killall -q -9 stuck
    umount -l arguments fuse
)
kill -TERM $tracer
wait $tracer
# Ten processes map a file that is shrunk, ten another that is replaced; nobody touches either.
dir=/mnt/ext4/warn
mkdir -p "$dir"
whybus trace -o json >/results/warn.json 2>/results/warn.err &
tracer=$!
until [ -s /results/warn.json ]; do sleep 0.05; done
(
    set -- "$dir"
    . /lib.sh
    make shrunk 102400
    make replaced 102400
    for file in shrunk replaced; do
        for i in 0 1 2 3 4 5 6 7 8 9; do
            ln -s $file $file.$i
            reading "$dir/$file.$i" 81000 wait
            echo $victim >>"/results/warn.$file"
        done
    done
    make new 4096
    mv new replaced
    truncate -s 4096 shrunk
    # On a busy host the look takes longer than anybody would wait; nothing touches the file until then.
    i=0
    while [ $i -lt 200 ] && ! busybox grep -q '"kind":"truncation"' /results/warn.json; do
        sleep 0.1
        i=$((i + 1))
    done
    # Only now does anybody touch it.
    : >shrunk.7.go
    sleep 1
)
kill -TERM $tracer
wait $tracer
busybox killall -q reader
# Bad mappings, planted among 2,000 healthy processes.
dir=/mnt/tmpfs/scan
mkdir -p "$dir"
(
    set -- "$dir"
    . /lib.sh
    make healthy 8192
    crowd 2000 "$dir/healthy" &
    await healthy.ready
    for i in 1 2 3; do
        make short$i 262144
        reading "$dir/short$i" 5000 wait
        truncate -s $((i * 65536)) short$i
    done
    make live 8192
    cp /bin/reader code
    ./code "$dir/live" 10 &
    await live.ready
    cp /bin/reader new
    mv new code
)
whybus scan -o json >/results/scan.json 2>/results/scan.err
whybus scan >/results/scan.txt 2>&1
busybox killall -q crowd reader code
