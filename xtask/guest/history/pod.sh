# A pod whose container is made anew each time: another cgroup, another parent.
i=0
while [ $i -lt 3 ]; do
    i=$((i + 1))
    group=/sys/fs/cgroup/kubepods.slice/kubepods-pod7.slice/cri-containerd-$(printf %064x $i).scope
    mkdir -p "$group"
    sh -c 'echo $$ >"$1/cgroup.procs"; pod-worker abort; true' sh "$group"
    sleep 0.4
done
