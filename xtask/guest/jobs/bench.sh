# Instructions per operation: without anything, with whybus in each of its forms, without again, with a bpftrace script,
# and with an empty kretprobe on the function the workload goes through. Under -icount.
workloads="private-write:ext4:filemap_fault private-write:tmpfs:shmem_fault anonymous:ext4:
fault-around:ext4: chmod:ext4:notify_change shrink-unmapped:ext4:notify_change
shrink-mapped:ext4:notify_change signal-ignored:ext4:__send_signal$(
    busybox grep -q ' __send_signal_locked$' /proc/kallsyms && echo _locked
) signal-handled:ext4:get_signal fork-exit:ext4:do_exit mix:ext4:"
# Those that the bpftrace script is for.
faults="private-write:ext4:filemap_fault private-write:tmpfs:shmem_fault anonymous:ext4: fault-around:ext4:"
is_whole=1
if busybox grep -q whybus.bench=faults /proc/cmdline; then workloads=$faults is_whole=; fi
# Of a fork and exec the least of some processes: from one to the next the page allocator and the caches of the kernel
# differ by as much as we add.
least() {
    case $1 in fork-exit | mix) times="1 2 3 4 5" ;; *) times=1 ;; esac
    for i in $times; do bench "$1" "$2"; done | busybox sort -n | busybox head -n 1
}
# round WHAT WORKLOAD…
round() {
    what=$1
    shift
    for workload in "$@"; do
        name=${workload%%:*} rest=${workload#*:}
        echo "$what $name ${rest%%:*} $(least "$name" "/mnt/${rest%%:*}")" >>/results/bench
    done
}
counts() { busybox grep -h run_cnt /proc/$1/fdinfo/* | busybox awk '{print $2}' | busybox tr '\n' ' '; }
# runs WHAT PID WORKLOAD…: how often each program of a process really ran; idle is what it takes to start the workload
# and to write its file.
runs() {
    what=$1 pid=$2
    shift 2
    echo 1 >/proc/sys/kernel/bpf_stats_enabled
    for workload in idle:ext4: "$@"; do
        name=${workload%%:*} rest=${workload#*:}
        fs=${rest%%:*}
        before=$(counts "$pid")
        bench "$name" "/mnt/$fs" >/dev/null
        echo "runs $what $name $fs $before / $(counts "$pid")" >>/results/bench
    done
    echo 0 >/proc/sys/kernel/bpf_stats_enabled
}
uptime() { busybox awk '{print $1}' /proc/uptime; }
facts() { busybox grep -h "$1" /proc/$tracer/$2 | busybox awk -v what="$3" '{print what, $2}' >>/results/bench; }
# The form in which faults of files are seen, by what whybus says it has attached.
form() {
    case $(busybox head -n 1 /tmp/out) in
    *'"fexit filemap_fault"'*'"blind"'*) echo trampolines ;;
    *'"kretprobe filemap_fault"'*'"blind"'*) echo kprobes ;;
    *) echo signal-alone ;;
    esac
}
# A task that loops on its fault for ten seconds: what whybus spends on it, in ticks of 10 ms.
spent() { busybox awk '{print $14 + $15}' /proc/$tracer/stat; }
storm() {
    lines=$(busybox wc -l </tmp/out) before=$(spent)
    looper /mnt/ext4/loop 10
    sleep 6
    echo "storm $(cat /mnt/ext4/loop.count) $before $(spent) $(($(busybox wc -l </tmp/out) - lines))" >>/results/bench
}
sleep 20
round none $workloads
known=
for refused in none trampolines trampolines,kprobes; do
    : >/tmp/out
    before=$(uptime)
    WHYBUS_REFUSE=$refused whybus trace -o json --signals all --exits lasting >/tmp/out 2>>/results/bench.err &
    tracer=$!
    until [ -s /tmp/out ]; do sleep 0.01; done
    armed="$before $(uptime)" form=$(form)
    # What the kernel refuses by itself was seen already.
    case " $known " in *" $form "*)
        kill $tracer
        wait $tracer
        continue
        ;;
    esac
    echo "armed $form $armed" >>/results/bench
    facts verified_insns 'fdinfo/*' "verified $form"
    facts VmRSS status "rss $form"
    round "$form" $workloads
    runs "$form" $tracer $workloads
    if [ -z "$known" ] && [ -n "$is_whole" ]; then storm; fi
    kill $tracer
    wait $tracer
    [ -n "$known" ] || cp /tmp/out /results/bench.json
    known="$known $form"
done
round again $workloads
# A script as it is written every day: an argument kept from the entry of each handler to its return, and told where that
# is SIGBUS.
busybox mount -t debugfs debugfs /sys/kernel/debug
busybox mkdir -p /bpftrace
busybox mount -o ro /dev/vde /bpftrace
handlers="filemap_fault shmem_fault hugetlb_fault special_mapping_fault handle_userfault do_page_mkwrite"
for function in $handlers; do
    busybox grep -q " $function\$" /proc/kallsyms || continue
    kept="@$function[tid]"
    printf '%s\n' "kprobe:$function { $kept = arg0; }" \
        "kretprobe:$function { if (retval & 0x32) { printf(\"%d %s %lx\\n\", pid, comm, $kept); } delete($kept); }"
done >/tmp/faults.bt
last=$(busybox sed -n 's/^kretprobe:\([a-z_]*\) .*/\1/p' /tmp/faults.bt | busybox tail -n 1)
libraries=/bpftrace/usr/lib/$(busybox ls /bpftrace/usr/lib | busybox grep linux-gnu)
before=$(uptime)
LD_LIBRARY_PATH=$libraries:/bpftrace/lib/${libraries##*/} /bpftrace/usr/bin/bpftrace /tmp/faults.bt >/tmp/bpftrace 2>>/results/bench.err &
tracer=$!
until [ "$(busybox grep -c " $last+" /sys/kernel/debug/kprobes/list)" -ge 2 ] || ! kill -0 $tracer 2>/dev/null; do sleep 0.1; done
if kill -0 $tracer 2>/dev/null; then
    echo "armed bpftrace $before $(uptime)" >>/results/bench
    sleep 1
    facts VmRSS status "rss bpftrace"
    round bpftrace $faults
    runs bpftrace $tracer $faults
    kill $tracer
    wait $tracer
fi
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
