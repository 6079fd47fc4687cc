# What may befall a recorder and what it writes to: it works again, its history is whole, and what it missed is told.
C=/sys/fs/cgroup D=/mnt/ext4/recovery
. /facts.sh
mkdir -p $D /run/systemd/journal
cd $D || exit
busybox mount -t cgroup2 none $C
for controller in memory pids; do echo +$controller >$C/cgroup.subtree_control; done
mkdir $C/bomb $C/small
echo 40 >$C/bomb/pids.max

# recorder NAME WORDS...: starts one with the state directory of that name.
recorder() {
    name=$1
    echo "recovery: $name" >/dev/console
    shift
    : >/results/$name.err
    whybus record --state-dir $D/$name "$@" 2>>/results/$name.err &
    recorder=$!
    recording $name
}
# One that has ended has no program any more, though nobody has waited for it.
alive() { [ -e /proc/$1/exe ]; }
recording() {
    while alive $recorder; do
        case $(cat /results/$1.err) in *recording*) break ;; esac
        sleep 0.1
    done
}
# Ends it, or kills it where it does not end; with its status.
stop() {
    kill -TERM $recorder
    tries=0
    while alive $recorder && [ $((tries += 1)) -lt 400 ]; do sleep 0.05; done
    kill -KILL $recorder 2>/dev/null
    wait $recorder
    echo "$name $?" >>/results/statuses
}
# crash NAME: a program of that name aborts.
crash() {
    cp /bin/worker /bin/$1
    $1 abort
} 2>/dev/null
# Waits until the history has it.
recorded() {
    tries=0
    while [ $((tries += 1)) -lt 60 ]; do
        case $(whybus list --state-dir $D/$1 --comm $2 -o json 2>/dev/null) in *\"$2\"*) break ;; esac
        sleep 0.3
    done
}
# Keeps what the history of that name says.
keep() { whybus export --state-dir $D/$1 >/results/$1.json 2>>/results/$1.err; }
# end_all CGROUP: ends all its processes, which may fork; cgroup.kill came with 5.14.
end_all() {
    echo 0 >"$1/pids.max"
    while grep -q populated.1 "$1/cgroup.events"; do
        # 0 is one that is gone.
        for pid in $(cat "$1/cgroup.procs"); do [ "$pid" = 0 ] || kill -KILL "$pid"; done
        sleep 0.1
    done 2>/dev/null
}
now() { busybox date +%s; }

# Stopped for a minute, in which a program crashes, and then more than finds room.
recorder stopped
stopped=$recorder
crash stop-before
recorded stopped stop-before
kill -STOP $stopped
now >/results/stopped.times
crash stop-during
begun=$(now)

# A journal that takes two records and reads none; and, for later, a reader of what is printed that does not read.
mkfifo $D/pipe
echo 1 >/proc/sys/net/unix/max_dgram_qlen
python3.11 -c '
import fcntl, os, socket, time
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
pipe = os.open("pipe", os.O_RDONLY)
fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
open("stalled.ready", "w").close()
time.sleep(1000)' &
reader=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.1; done

# The directory is removed below one that runs.
recorder removed --journal
for i in 1 2 3 4; do crash journal-$i; done
crash removed-before
recorded removed removed-before
rm -rf $D/removed
sleep 2
crash removed-after
recorded removed removed-after
whybus status --state-dir $D/removed >/results/removed.status 2>&1
stop
keep removed
ls $D/removed >/results/removed.ls

# The OOM killer takes it.
(
    echo 0 >$C/small/cgroup.procs
    exec whybus record --state-dir $D/oom
) 2>/results/oom.err &
recorder=$!
recording oom
crash oom-before
recorded oom oom-before
echo 1M >$C/small/memory.max
tries=0
while alive $recorder && [ $((tries += 1)) -lt 400 ]; do sleep 0.05; done
kill -KILL $recorder 2>/dev/null
wait $recorder
echo $? >/results/oom.status
busybox awk '/^oom_kill / {print $2}' $C/small/memory.events >/results/oom.kills
recorder oom
crash oom-after
recorded oom oom-after
stop
keep oom

# Nobody reads what it prints.
recorder stalled --print=json --journal >pipe
until [ -e stalled.ready ]; do sleep 0.1; done
for i in 1 2 3 4 5 6 7 8; do crash stalled-$i; done
recorded stalled stalled-8
stop
kill $reader
keep stalled

# A stream is nobody else's to read.
(
    umask 0
    whybus trace --save $D/saved -d 1 >/dev/null 2>&1
)
busybox stat -c %a $D/saved >/results/saved

# The minute is over.
while [ $(($(now) - begun)) -lt 60 ]; do sleep 1; done
whybus status --state-dir $D/stopped >/results/stopped.status 2>&1
(
    echo 0 >$C/bomb/cgroup.procs
    exec soak bomb $D
) &
sleep 15
end_all $C/bomb
kill -CONT $stopped
now >>/results/stopped.times
crash stop-after
recorded stopped stop-after
name=stopped recorder=$stopped
stop
keep stopped

# A clock that is a year ahead for a while, and an hour behind between two runs.
set_clock() { busybox date -s "@$(($(now) + $1))" >/dev/null; }
year=31536000
recorder clock
crash clock-1
recorded clock clock-1
set_clock $year
sleep 2
crash clock-2
recorded clock clock-2
stop
recorder clock
crash clock-3
recorded clock clock-3
set_clock -$year
sleep 2
crash clock-4
recorded clock clock-4
stop
set_clock -3600
recorder clock
crash clock-5
recorded clock clock-5
stop
set_clock 3600
recorder clock
stop
keep clock
