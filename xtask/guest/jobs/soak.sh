# All hostile loads at once, and twenty victims of another user among them: the recorder tells each, or says what it lost.
seconds=$(busybox tr ' ' '\n' </proc/cmdline | busybox sed -n 's/^whybus\.soak=//p')
C=/sys/fs/cgroup D=/mnt/ext4/soak S=/mnt/large/state
. /facts.sh
busybox mount -t cgroup2 none $C
for controller in cpu memory pids; do echo +$controller >$C/cgroup.subtree_control; done
# As systemd has it: what users do has as much of the CPUs as what the host does.
for group in system.slice user.slice; do
    mkdir $C/$group
    for controller in memory pids; do echo +$controller >$C/$group/cgroup.subtree_control; done
done
mkdir $C/system.slice/whybus.service $C/system.slice/planted.service $C/user.slice/bomb.scope \
    $C/user.slice/soak.scope $C/user.slice/cgroups
echo 40 >$C/user.slice/bomb.scope/pids.max
mkdir -p $D/mounts $D/planted /mnt/large
chmod 777 $D $D/mounts $D/planted
mke2fs -q -t ext4 -F /dev/vdd >/dev/null 2>&1
busybox mount -t ext4 /dev/vdd /mnt/large
# end_all CGROUP: ends all its processes, which may fork; cgroup.kill came with 5.14.
end_all() {
    echo 0 >"$1/pids.max"
    while grep -q populated.1 "$1/cgroup.events"; do
        # 0 is one that is gone.
        for pid in $(cat "$1/cgroup.procs"); do [ "$pid" = 0 ] || kill -KILL "$pid"; done
        sleep 0.1
    done 2>/dev/null
}
# within CGROUP COMMAND...
within() {
    echo 0 >"$C/$1/cgroup.procs" || exit 99
    shift
    exec "$@"
}
(within system.slice/whybus.service whybus record --state-dir $S --keep-size 200M) >/results/out 2>/results/err &
recorder=$!
while [ -e /proc/$recorder/exe ] && ! grep -q '^recording' /results/err; do sleep 0.2; done
(within user.slice/soak.scope soak mounts $D/mounts) 2>>/results/loads &
(within user.slice/soak.scope soak cgroups $C/user.slice/cgroups) 2>>/results/loads &
until [ -e $D/mounts.ready ] && [ -e /tmp/soak-cgroups.ready ]; do sleep 0.2; done
busybox wc -l </proc/mounts >/results/mounts
busybox find $C -type d | busybox wc -l >/results/cgroups
# Locked by maps and programs, bytes.
# A descriptor may be gone before it is read.
locked() { cat /proc/$recorder/fdinfo/* 2>/dev/null | busybox awk '/^memlock/ {sum += $2} END {print sum + 0}'; }
locked >/results/locked
(within system.slice/planted.service plant $D/planted /results/planted 20 "$seconds") 2>>/results/loads &
planter=$!
for how in shrinks faults renamed paths; do
    (within user.slice/soak.scope soak $how $D) 2>>/results/loads &
done
(within user.slice/bomb.scope soak bomb $D) 2>>/results/loads &
(within user.slice/soak.scope flood /results/sent $((seconds - 10))) 2>>/results/loads &
# The disk below the history is full, and has room again.
(
    while [ -e $S ]; do
        sleep 12
        for size in 64M 4M 256K 4K; do
            while fallocate -l $size "/mnt/large/fill.$size.$((i += 1))"; do :; done
        done 2>/dev/null
        sleep 4
        rm -f /mnt/large/fill.*
        echo full >>/results/full
    done
) &
filler=$!
# Each 5 s: resident and most resident KiB, threads, descriptors, mappings, and for how many seconds it has said nothing of
# itself.
(
    while [ -e /proc/$recorder/maps ]; do
        status=$(busybox awk '/^(VmRSS|VmHWM|Threads):/ {printf "%s ", $2}' /proc/$recorder/status)
        silent=$(($(busybox date +%s) - $(busybox stat -c %Y $S/recorder)))
        # The clock went on between the two.
        [ $silent -ge 0 ] || silent=0
        echo "$status $(ls /proc/$recorder/fd | busybox wc -l) $(busybox wc -l </proc/$recorder/maps) $silent"
        sleep 5
    done
) >/results/resident 2>/dev/null &
wait $planter
kill $filler
rm -f /mnt/large/fill.*
for group in bomb.scope soak.scope; do end_all $C/user.slice/$group; done
# What is told late is told by then.
tries=0
until whybus list --state-dir $S --comm v19 -o json | grep -q '"v19"' || [ $((tries += 1)) -gt 90 ]; do sleep 1; done
locked >>/results/locked
cat /proc/$recorder/smaps >/results/smaps
kill -TERM $recorder
# One that has ended has no program any more, though nobody has waited for it.
tries=0
while [ -e /proc/$recorder/exe ] && [ $((tries += 1)) -lt 600 ]; do sleep 0.1; done
kill -KILL $recorder 2>/dev/null
wait $recorder
echo $? >/results/status
whybus list --state-dir $S --comm 'v??' -n 0 -o json >/results/victims.json 2>/results/list.err
whybus export --state-dir $S >/tmp/export.json 2>/results/export.err
busybox grep -c '"kind":"incident"' /tmp/export.json >/results/incidents
busybox grep '"kind":"gap"' /tmp/export.json >/results/gaps.json
# Some for whoever reads it.
busybox head -n 200 /tmp/export.json >/results/some.json
busybox ls -la $S >/results/ls
busybox dmesg | busybox grep -E 'BUG|Oops|WARNING|hung task|Out of memory|rcu.*stall' >/results/kernel
