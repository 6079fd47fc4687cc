# The recorder: seven ways to die under a supervisor, asked for afterwards; kills, a full disk, the
# journal, an import.
# As the README tells it, before anything else happens on this host.
sh /history/dialogue.sh

D=/mnt/ext4/history S=/mnt/ext4/state
mkdir -p $D
cd $D || exit
busybox mount -t cgroup2 none /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p /sys/fs/cgroup/small
echo 24M >/sys/fs/cgroup/small/memory.max
cat /proc/sys/kernel/random/uuid | busybox tr -d - >/etc/machine-id
mkdir -p /run/systemd/journal /run/log/journal
# The journal, as systemd has it, without the rest of it.
/usr/lib/systemd/systemd-journald 2>/results/journald.err &
journald=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.05; done

load=
recorder() {
    : >/tmp/recorder
    # Who kills processes all the time takes half the CPU from a start.
    [ -z "$load" ] || kill -STOP "$load"
    whybus record --state-dir $S --group adm "$@" 2>>/tmp/recorder &
    recorder=$!
    until busybox grep -q '^recording' /tmp/recorder || ! kill -0 $recorder 2>/dev/null; do sleep 0.05; done
    [ -z "$load" ] || kill -CONT "$load"
}
# Ends it, and whatever has not been told by then.
stop() {
    kill -TERM $recorder
    wait $recorder
}
as() { busybox su -s /bin/sh "$1" -c "$2"; }

# As a service manager starts it.
python3.11 /history/notify.py /tmp/notify >/results/notify &
manager=$!
until [ -S /tmp/notify ]; do sleep 0.05; done
export NOTIFY_SOCKET=/tmp/notify WATCHDOG_USEC=3000000
recorder --journal
# Beside it, live: the events of these deaths, for the tests on the host.
whybus trace --signals all --exits lasting -o json --save /results/deaths.stream >/results/deaths.json 2>/tmp/trace &
tracer=$!
until [ -s /results/deaths.json ]; do sleep 0.05; done
unset NOTIFY_SOCKET WATCHDOG_USEC
# A second one names the first.
echo $recorder >/results/first.pid
whybus record --state-dir $S >/results/second.out 2>&1
echo $? >/results/second.status
programs="bus-worker:reader cgo-worker:cgo_worker oom-worker:worker parent-worker:worker
stranger-worker:worker exit-worker:worker abort-worker:worker pod-worker:worker clock-worker:worker
dump-worker:reader"
for pair in $programs; do cp "/bin/${pair#*:}" "/bin/${pair%%:*}"; done
head -c 1048576 /dev/zero >live
head -c 4096 /dev/zero >new
: >parent.kills
supervise() { sh /history/supervise.sh "$@" >/dev/null 2>&1 & }
supervise bus 3 sh -c 'head -c 1048576 /dev/zero >live; rm -f live.ready; exec bus-worker live 900000'
supervisors=$!
supervise cgo 3 cgo-worker
supervisors="$supervisors $!"
supervise oom 3 sh -c 'echo $$ >/sys/fs/cgroup/small/cgroup.procs; exec oom-worker hog'
supervisors="$supervisors $!"
supervise parent 3 parent-worker wait
supervisors="$supervisors $!"
supervise stranger 3 stranger-worker wait
supervisors="$supervisors $!"
supervise exit 4 exit-worker exit
supervisors="$supervisors $!"
supervise abort 3 abort-worker abort
supervisors="$supervisors $!"
sh /history/pod.sh &
supervisors="$supervisors $!"
sh /history/stranger.sh stranger &
stranger=$!
# A careless update: three times while it is mapped.
for i in 1 2 3; do
    until [ -e live.ready ]; do sleep 0.02; done
    sleep 0.2
    rm live.ready
    cp new live
done
for pid in $supervisors; do wait $pid; done
: >stranger.done
wait $stranger
sleep 1
kill $tracer
wait $tracer
whybus replay -o json /results/deaths.stream >/results/deaths-replay.json
whybus replay --utc /results/deaths.stream >/results/deaths.txt 2>&1
# What it takes while nothing happens: ticks of 10 ms in 5 s, memory, and the ticks that a fixed piece of work took beside it:
# the slower a host emulates, the more both take.
work() { busybox sh -c 'i=0; while [ $i -lt 40000 ]; do i=$((i + 1)); done; busybox awk "{print \$14 + \$15}" /proc/$$/stat'; }
spent() { busybox awk '{print $14 + $15}' /proc/$recorder/stat; }
cat /proc/$recorder/smaps >/results/smaps
# Every thread of it.
for status in /proc/$recorder/task/*/status; do
    busybox awk '/^(Name|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):/ {printf "%s ", $2} END {print ""}' "$status"
done >/results/confined
# Its child that starts those that parse.
for status in /proc/[0-9]*/status; do
    busybox awk -v of=$recorder '/^PPid:/ {own = $2 == of}
        /^(Name|Uid|VmRSS|CapPrm|CapEff|NoNewPrivs|Seccomp):/ {line = line " " $2} END {if (own) print line}' "$status"
done >/results/parser
# What disturbs a round only adds to it: of some the least is what it is.
: >/results/idle
for round in 1 2 3 4 5 6 7 8 9 10; do
    before=$(spent)
    sleep 5
    after=$(spent) work=$(work)
    echo "$before $after $(busybox awk '/VmRSS/ {print $2}' /proc/$recorder/status) $work" >>/results/idle
    [ $(((after - before) * 6)) -gt "$work" ] || break
done
# Core dumps that take their time.
echo 1 >/proc/sys/kernel/core_pipe_limit
echo '|/bin/sh /history/dump.sh' >/proc/sys/kernel/core_pattern
supervise dump 2 sh -c 'head -c 8192 /dev/zero >dumped; rm -f dumped.ready; exec dump-worker dumped 5000'
supervisor=$!
for i in 1 2; do
    until [ -e dumped.ready ]; do sleep 0.02; done
    rm dumped.ready
    cp /dev/null dumped
done
wait $supervisor
echo core >/proc/sys/kernel/core_pattern
# The clock is set back by an hour between two deaths.
clock-worker abort
busybox date -s "@$(($(busybox date +%s) - 3600))" >/dev/null
sleep 1.5
clock-worker abort &
echo $! >/results/clock.pid
wait $!
sleep 1
stop
echo $? >/results/recorder.status
kill $manager
busybox date -s "@$(($(busybox date +%s) + 3600))" >/dev/null
cp /tmp/recorder /results/recorder.err

# Asked for afterwards, without privilege and without a recorder.
for name in bus cgo oom parent stranger exit abort pod dump clock; do
    as sre "whybus why $name-worker --state-dir $S -o json" >/results/why-$name.json 2>/results/why-$name.err
    as sre "whybus why $name-worker --state-dir $S --utc" >>/results/why.txt 2>&1
done
as sre "whybus list --state-dir $S -o json" >/results/list.json 2>/results/list.err
as sre "whybus stats --state-dir $S -o json" >/results/stats.json 2>/results/stats.err
as sre "whybus list --state-dir $S --exit 135 -o json" >/results/list-135.json 2>&1
as nobody "whybus list --state-dir $S" >/results/nobody.out 2>&1
echo $? >/results/nobody.status
as sre "whybus why bus-wroker --state-dir $S" >/results/nearest.out 2>&1
echo $? >/results/nearest.status

# A colleague's host.
whybus export --state-dir $S >/results/export.json
whybus import --state-dir /mnt/ext4/colleague /results/export.json 2>/results/import.err
for name in bus cgo oom parent stranger exit abort pod dump; do
    whybus why $name-worker --state-dir /mnt/ext4/colleague -o json 2>/dev/null
done >/results/colleague.json
whybus export --state-dir /mnt/ext4/colleague >/results/export-again.json

journalctl --no-pager -o json MESSAGE_ID=6f1c0d7a2b9e4f7c8a35d2e94b1f6c08 >/results/journal.json 2>/results/journalctl.err
journalctl --no-pager MESSAGE_ID=6f1c0d7a2b9e4f7c8a35d2e94b1f6c08 >/results/journal.txt 2>&1
sh /history/secrets.sh
sh /history/deployed.sh
kill $journald

# What a health check is told: while it runs, and once it is gone.
status() {
    whybus status --state-dir $S -o json >/results/status-$1.json
    echo $? >/results/status-$1.status
    whybus status --utc --state-dir $S >>/results/status.txt
}
S=/mnt/ext4/asked
recorder --exec "cat /proc/self/status >/results/exec.process; cat >>/results/exec.json"
sh -c 'kill -SEGV $$' 2>/dev/null
busybox timeout 30 sh -c 'until [ -s /results/exec.json ]; do sleep 0.1; done'
whybus list --state-dir $S -n 0 -o json >/results/exec.list
status running
kill -9 $recorder
wait $recorder 2>/dev/null
sleep 11
status killed

# Killed at random moments under load. What a reader has seen is committed: it must be there later.
load() { while :; do sh -c 'kill -SEGV $$'; sh -c 'kill -ABRT $$'; done 2>/dev/null; }
kills=$(busybox tr ' ' '\n' </proc/cmdline | busybox sed -n 's/^whybus\.kills=//p')
S=/mnt/ext4/killed
# The newest so many, or with 0 all.
ids() { whybus list --state-dir $S -n "$1" -o json 2>/dev/null | busybox grep -o '"id":"[^"]*"' | busybox sort; }
# How many were seen, are there, and how many of the former are not among the latter.
missing() { echo "$1 $(busybox wc -l <"$2") $(busybox wc -l <"$3") $(comm -23 "$2" "$3" | busybox wc -l)"; }
load &
load=$!
i=0
: >/tmp/ever
while [ $i -lt "${kills:-5}" ]; do
    recorder
    usleep=$(($(busybox od -An -N2 -tu2 /dev/urandom) % 1500))
    busybox usleep $((usleep * 1000))
    ids 100 >/tmp/seen
    kill -9 $recorder
    wait $recorder 2>/dev/null
    # More than are recorded while the list of the first is made.
    ids 400 >/tmp/after
    missing "$i" /tmp/seen /tmp/after >>/results/kills
    cat /tmp/seen >>/tmp/ever
    i=$((i + 1))
done
recorder
stop
busybox sort -u /tmp/ever >/tmp/seen
ids 0 >/tmp/after
missing all /tmp/seen /tmp/after >>/results/kills
cat /tmp/recorder >/results/kills.err
whybus export --state-dir $S >/results/kills.json 2>&1
ls $S >/results/kills.ls

# A disk that is full in the middle.
S=/mnt/small/state
mkdir -p /mnt/small
mke2fs -q -t ext4 -F /dev/vdc >/dev/null 2>&1
busybox mount -t ext4 /dev/vdc /mnt/small
recorder
sleep 1
ids 0 >/tmp/seen
dd if=/dev/zero of=/mnt/small/fill bs=4k >/dev/null 2>&1
sync
until busybox grep -q 'cannot write' /tmp/recorder; do sleep 0.1; done
sleep 1
rm /mnt/small/fill
until busybox grep -q 'written to again' /tmp/recorder; do sleep 0.1; done
ids 0 >/tmp/after
missing full /tmp/seen /tmp/after >/results/full
stop
cat /tmp/recorder >/results/full.err
whybus list --state-dir $S -n 0 >/results/full.list 2>&1
kill $load
wait $load 2>/dev/null
load=

# Bad state directories, a sentence each.
bad() {
    echo "== $1" >>/results/bad
    shift
    busybox timeout 20 whybus record "$@" >>/results/bad 2>&1
    echo "status $?" >>/results/bad
}
mkdir -p /mnt/ext4/bad/open /mnt/ext4/bad/theirs /mnt/ext4/bad/newer
chmod 770 /mnt/ext4/bad/open
chown 65534 /mnt/ext4/bad/theirs
: >/mnt/ext4/bad/file
bad group-writable --state-dir /mnt/ext4/bad/open
bad not-ours --state-dir /mnt/ext4/bad/theirs
bad no-directory --state-dir /mnt/ext4/bad/file
bad no-group --state-dir /mnt/ext4/bad/new --group nobodys
cp /mnt/ext4/colleague/history.db /mnt/ext4/bad/newer/history.db
printf '\000\000\000\143' | busybox dd of=/mnt/ext4/bad/newer/history.db bs=1 seek=60 conv=notrunc 2>/dev/null
bad newer --state-dir /mnt/ext4/bad/newer
# These go on: a damaged history is set aside, a read-only disk is told of.
S=/mnt/ext4/bad/damaged
mkdir -p $S
cp /mnt/ext4/colleague/history.db $S/history.db
busybox dd if=/dev/urandom of=$S/history.db bs=4096 seek=1 count=20 conv=notrunc 2>/dev/null
recorder
stop
cat /tmp/recorder >/results/damaged.err
ls $S >/results/damaged.ls
busybox mount -o remount,ro /mnt/small
S=/mnt/small/other
recorder
sleep 3
stop
cat /tmp/recorder >/results/readonly.err
