# Instructions per operation: without anything, with whybus, without again, and with an empty
# kretprobe on the function the workload goes through. Under -icount.
workloads="private-write:ext4:filemap_fault private-write:tmpfs:shmem_fault anonymous:ext4:
fault-around:ext4: chmod:ext4:notify_change shrink-unmapped:ext4:notify_change
shrink-mapped:ext4:notify_change signal-ignored:ext4:__send_signal$(
    busybox grep -q ' __send_signal_locked$' /proc/kallsyms && echo _locked
) signal-handled:ext4:get_signal fork-exit:ext4:do_exit mix:ext4:"
# Of a fork and exec the least of some processes: from one to the next the page allocator and the caches of the kernel
# differ by as much as we add.
least() {
    case $1 in fork-exit | mix) times="1 2 3 4 5" ;; *) times=1 ;; esac
    for i in $times; do bench "$1" "$2"; done | busybox sort -n | busybox head -n 1
}
round() {
    for workload in $workloads; do
        name=${workload%%:*} rest=${workload#*:}
        echo "$1 $name ${rest%%:*} $(least "$name" "/mnt/${rest%%:*}")" >>/results/bench
    done
}
counts() { busybox grep -h run_cnt /proc/$tracer/fdinfo/* | busybox awk '{print $2}' | busybox tr '\n' ' '; }
sleep 20
round none
before=$(busybox awk '{print $1}' /proc/uptime)
whybus trace -o json --signals all --exits lasting >/tmp/out 2>/results/bench.err &
tracer=$!
until [ -s /tmp/out ]; do sleep 0.01; done
echo "armed $before $(busybox awk '{print $1}' /proc/uptime)" >>/results/bench
busybox grep -h verified_insns /proc/$tracer/fdinfo/* | busybox awk '{print "verified", $2}' >>/results/bench
busybox grep -h VmRSS /proc/$tracer/status | busybox awk '{print "rss", $2}' >>/results/bench
round whybus
# How often each program really ran; idle is what it takes to start the workload and to write its file.
echo 1 >/proc/sys/kernel/bpf_stats_enabled
for workload in idle:ext4: $workloads; do
    name=${workload%%:*} rest=${workload#*:}
    fs=${rest%%:*}
    before=$(counts)
    bench "$name" "/mnt/$fs" >/dev/null
    echo "runs $name $fs $before / $(counts)" >>/results/bench
done
echo 0 >/proc/sys/kernel/bpf_stats_enabled
# A task that loops on its fault for ten seconds: what whybus spends on it, in ticks of 10 ms.
spent() { busybox awk '{print $14 + $15}' /proc/$tracer/stat; }
lines=$(busybox wc -l </tmp/out) before=$(spent)
looper /mnt/ext4/loop 10
sleep 6
echo "storm $(cat /mnt/ext4/loop.count) $before $(spent) $(($(busybox wc -l </tmp/out) - lines))" >>/results/bench
kill $tracer
wait $tracer
cp /tmp/out /results/bench.json
round again
for workload in $workloads; do
    name=${workload%%:*} rest=${workload#*:}
    fs=${rest%%:*} function=${rest#*:}
    [ -n "$function" ] || continue
    : >/tmp/ready
    kretprobe "$function" >/tmp/ready 2>>/results/bench.err &
    probe=$!
    until [ -s /tmp/ready ] || ! kill -0 $probe 2>/dev/null; do sleep 0.05; done
    [ -s /tmp/ready ] || continue
    echo "kretprobe $name $fs $(least "$name" "/mnt/$fs")" >>/results/bench
    kill $probe
    wait $probe
done
