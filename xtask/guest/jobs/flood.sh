# Somebody else drowns the recorder in signals while ten lose the end of a file, ten are sent SIGTERM, and three die of one
# of too many. Then one has used up what signals are kept in for a user, and another what deliveries are told.
grep -q whybus.verbose=yes /proc/cmdline && verbose=-v
D=/mnt/ext4/flood
mkdir -p $D
# With no capability but those that `doctor` lists, and with one fewer, what that is. Locked memory is counted before 5.11, and
# without CAP_SYS_RESOURCE it is up to whoever starts whybus.
. /facts.sh
listed="bpf perfmon sys_ptrace dac_read_search checkpoint_restore sys_admin chown"
bounded() {
    sets=-all
    for name in $1; do sets=$sets,+$name; done
    shift
    exec setpriv --bounding-set "$sets" "$@"
}
# For the three at the end CAP_SYS_ADMIN does as well.
busybox grep -q whybus.other=yes /proc/cmdline || for without in sys_ptrace dac_read_search sys_admin chown "bpf sys_admin" "perfmon sys_admin" "checkpoint_restore sys_admin"; do
    some=
    # What the one before it said is not its own.
    rm -f /tmp/without.err
    for name in $listed; do case " $without " in *" $name "*) ;; *) some="$some $name" ;; esac; done
    case $without in
    chown) set -- record --state-dir /tmp/without ;;
    *) set -- trace ;;
    esac
    (bounded "$some" whybus "$@") >/dev/null 2>/tmp/without.err &
    one=$!
    # What can watch all the same would take long to begin.
    busybox timeout 60 sh -c 'until grep -qs CAP_ /tmp/without.err; do sleep 0.1; done'
    kill -KILL $one 2>/dev/null
    wait $one
    echo "$? $without: $(busybox grep CAP_ /tmp/without.err | busybox tr '\n' ' ')"
done >/results/without 2>/dev/null
if grep -q linux-5.10 /results/facts; then
    ulimit -l 64
    (bounded "$listed" whybus trace) >/dev/null 2>/tmp/without.err
    echo "$? sys_resource: $(busybox tr '\n' ' ' </tmp/without.err)" >>/results/without
fi
ulimit -l unlimited
(bounded "$listed" whybus trace ${verbose:+-v} --signals term --no-warnings -o json --save /results/stream) >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.05; done
busybox grep THP_enabled /proc/$tracer/status >/results/huge-pages
flood /results/sent 25 &
flood=$!
sleep 2
(
    set -- "$D"
    . /lib.sh
    for i in 1 2 3 4 5 6 7 8 9 10; do
        make live.$i 102400
        reading "$D/live.$i" 81000 wait
        truncate -s 0 live.$i
        : >live.$i.go
        wait $victim
        worker wait &
        victim=$!
        sleep 0.5
        kill -TERM $victim
        wait $victim
    done
    for i in 1 2 3; do flood prey; done
)
wait $flood
marked() {
    worker wait &
    victim=$!
    sleep 0.5
    shares marks $victim
    echo $? >>/results/shares
    kill -TERM $victim
    wait $victim
}
marked
shares zombies
echo $? >>/results/shares
flood prey
shares handled $D/enough &
for i in 1 2 3 4 5; do sleep 0.4; rescued $D/rescued; done
: >$D/enough
wait $!
echo $? >>/results/shares
sleep 1
kill -TERM $tracer
wait $tracer
echo "$?" >/results/trace.status
whybus replay -o json /results/stream >/results/replay.json
