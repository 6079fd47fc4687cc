# Attacks of docs/threat-model.md that take a kernel (floods, shrinks and clocks of a recorder have jobs and scenarios of their
# own). Each leaves what came of it; that another whybus loses where this one does not is shown by `--whybus`.
C=/sys/fs/cgroup D=/mnt/ext4/attacks
. /facts.sh
mkdir -p $D/planted /run/systemd/journal
chmod 777 $D $D/planted
cd $D || exit
busybox mount -t cgroup2 none $C
attacking() { echo "attacks: $1" >/dev/console; }
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
# One that has ended has no program any more, though nobody has waited for it.
alive() { [ -e /proc/$1/exe ]; }
# recorder NAME WORDS...: starts one, and waits until it records; where it does not, it has ended.
recorder() {
    name=$1
    shift
    whybus record "$@" 2>/results/$name.err &
    recorder=$!
    while alive $recorder && ! busybox grep -q '^recording' /results/$name.err; do sleep 0.1; done
}
# Ends it, or kills it where it does not end in 20 s; with its status, and how long it took.
stop() {
    read -r began rest </proc/uptime
    kill -TERM $recorder
    tries=0
    while alive $recorder && [ $((tries += 1)) -lt 200 ]; do sleep 0.1; done
    kill -KILL $recorder 2>/dev/null
    wait $recorder
    status=$?
    read -r ended rest </proc/uptime
    echo "$name $status $began $ended" >>/results/statuses
}

# Twenty of another user die, and what follows is not about them.
attacking history
python3.11 /python/attacks.py journal /results/journal &
journal=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.1; done
recorder history --state-dir $D/state --journal
python3.11 /python/attacks.py resident $recorder /results/resident &
plant $D/planted /results/planted 20 8
# 7: in a unit of its own making.
unit=$C/user.slice/user-65534.slice/user@65534.service/nginx.service
mkdir -p $unit
(
    echo 0 >$unit/cgroup.procs
    as_nobody worker abort
)
# 3: a program whose table of symbols is 900 MiB of nothing.
cp /bin/planted sparse
python3.11 /python/attacks.py sparse sparse 900
as_nobody ./sparse 1 segv /dev/null
sleep 3
# 4: as many deaths as there is time for.
crash_loop 15 /results/crashes
sleep 2
stop
whybus export --state-dir $D/state >/results/before.json 2>/results/before.err
whybus list --state-dir $D/state --uid 1000 -n 0 -o json >/results/planted.before 2>/dev/null
# And what it would have written in a longer time.
python3.11 /python/attacks.py more /results/before.json more.json 4000
whybus import more.json --state-dir $D/state 2>/results/more.err
whybus export --state-dir $D/state 2>/dev/null | busybox grep -c '"kind":"\(incident\|update\)"' >/results/more
# 5: a recorder is started while the clock is a year ahead, and again when that is mended.
attacking clock
cp -a state ahead
set_clock() { busybox date -s "@$(($(busybox date +%s) + $1))" >/dev/null; }
for years in 1 -1; do
    set_clock $((years * 31536000))
    recorder clock$years --state-dir $D/ahead
    sleep 4
    stop
done
whybus export --state-dir $D/ahead >/results/ahead.json 2>/results/ahead.err
# 6: who may read the history holds a lock on all of it that he can open.
attacking locks
python3.11 /python/attacks.py lock $D/state/recorder $D/state/lock $D/state/history.db &
locker=$!
until [ -e /tmp/locked ]; do sleep 0.1; done
recorder locked --state-dir $D/state --keep-size 1M
if alive $recorder; then echo yes; else echo no; fi >/results/locked
kill $locker
alive $recorder || recorder unlocked --state-dir $D/state --keep-size 1M
# Room is made at the start.
sleep 4
stop
whybus list --state-dir $D/state --uid 1000 -n 0 -o json >/results/planted.after 2>/dev/null
whybus export --state-dir $D/state >/results/after.json 2>/results/after.err
kill $journal

# 8: nobody reads what is printed, and the reader does not go away.
attacking reader
mkfifo $D/pipe
busybox sleep 1000 <$D/pipe &
sleeper=$!
recorder printed --state-dir $D/printed --print=json >$D/pipe
preempt $D 60
cp /bin/worker late
as_nobody ./late abort
sleep 2
stop
kill $sleeper
whybus list --state-dir $D/printed --comm late -n 0 -o json >/results/late.json 2>/dev/null

# What a tracer says.
attacking tracer
(
    set -- "$D"
    . /lib.sh
    # 5: the clock is wrong while a file that somebody maps loses its end.
    make clock 102400
    reading "$D/clock" 81000 wait
    set_clock -7200
    truncate -s 0 clock
    set_clock 7200
    # 10: what it saves is nobody else's to read.
    umask 022
    whybus trace -o json --no-warnings --save $D/saved >/results/lines 2>/results/trace.err &
    echo $! >tracer
    until [ -s /results/lines ] || ! kill -0 "$(cat tracer)"; do sleep 0.05; done
    busybox stat -c %a saved >/results/saved
    : >clock.go
    wait $victim
    # 2: a file loses its end, and then 1,100 others do.
    make erased 102400
    reading "$D/erased" 81000 wait
    truncate -s 0 erased
    many_shrinks 1100
    : >erased.go
    wait $victim
)
sleep 1
kill -TERM "$(cat tracer)"
while [ -e /proc/$(cat tracer)/exe ]; do sleep 0.1; done

# 11: names out of files and of processes that are none of the victim's.
attacking names
mkdir -p /tmp/jail $C/of-a-usurper
led_out secret $D/secret
led_out secret $D/other
# What is called like that came of a usurper; what tells it so is not to be.
cp /bin/reused /tmp/of-a-usurper-program
ln -s $C/of-a-usurper /tmp/cgroup
long=$(printf '%0400d' 0)
recorder names --state-dir $D/names
led_out jail /tmp/jail $D/secret $D/other 20 2>/results/jail.err
# Whoever looks has to share with these.
hogs=
for hog in 1 2 3; do
    as_nobody busybox sh -c 'while :; do :; done' &
    hogs="$hogs $!"
done
reused /results/reused 80 /tmp/cgroup "${long}the-end-of-it" 2>/results/reused.err
kill $hogs
sleep 2
stop
whybus export --state-dir $D/names >/results/names.json 2>/results/names.export.err
