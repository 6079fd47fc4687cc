# Two hosts, each with a recorder: `updater` serves files by NFS, and writes over one of them as a client of its own;
# `reader` maps that file and dies. Afterwards each has the history of the other imported, and a third has both.
host=$(busybox tr ' ' '\n' </proc/cmdline | busybox sed -n 's/^whybus\.host=//p')
S=/mnt/ext4/state
busybox hostname "$host"
recorder() {
    whybus record --state-dir $S 2>/tmp/recorder >&2 &
    recorder=$!
    until busybox grep -q '^recording' /tmp/recorder || ! kill -0 $recorder; do sleep 0.05; done
}
stop() {
    kill -TERM $recorder
    wait $recorder
    cat /tmp/recorder >/results/recorder.err
}
# served NAME DIR [OPTIONS]: mounts what the server has
served() {
    mkdir -p "$2"
    mount -i -t nfs4 -o "addr=10.0.9.1,clientaddr=$own,vers=4.2,nosharecache$3" "10.0.9.1:/$1" "$2"
}
# crash: the same library's function crashes on both, elsewhere in memory and in another directory
crash() {
    mkdir -p "/mnt/ext4/of-$host"
    cp /lib/*-linux-gnu/libgeo1.so "/mnt/ext4/of-$host/libgeo.so"
    echo 2 >/proc/sys/kernel/randomize_va_space
    geo_user "/mnt/ext4/of-$host/libgeo.so" geo_depth &
    crashing=$!
    await "/mnt/ext4/of-$host/libgeo.so.ready"
    : >"/mnt/ext4/of-$host/libgeo.so.go"
    wait $crashing
}
# told DIR NAME: what a history says of the reader's end
told() {
    whybus list --state-dir "$1" --comm reader -o json >"/results/$2.list"
    whybus why --state-dir "$1" -o json reader >"/results/$2.json"
    { whybus why --state-dir "$1" --utc reader; whybus why --state-dir "$1" -o oneline reader; } >"/results/$2.txt" 2>&1
    id=$(busybox sed -n 's/.*"id":"\([^"]*\)".*/\1/p' "/results/$2.list")
    whybus show --state-dir "$1" --utc "$id" >"/results/$2.show" 2>&1
}
(
    set -- /mnt/ext4/two
    mkdir -p "$1"
    . /lib.sh
    # The other one may have failed.
    await() {
        i=0
        until [ -e "$1" ]; do
            sleep 0.1
            i=$((i + 1))
            [ $i -lt 900 ] || exit 99
        done
    }
    NFS_ADDR=10.0.9.1
    . /nfs.sh
    load virtio_net
    load nfsv4
    case $host in updater) own=10.0.9.1 ;; *) own=10.0.9.2 ;; esac
    busybox ip addr add $own/24 dev eth0
    busybox ip link set eth0 up
    exec 2>/results/trouble
    if [ "$host" = updater ]; then
        nfs_server
        X=/mnt/ext4/export
        mkdir -p $X/two $X/sync
        served two /srv/geo || exit 99
        make new 4096
        make /srv/geo/live 102400
        make /srv/geo/log 10
        make /srv/geo/kept 10
        make log 10
        make /srv/geo/children 10
        make /srv/geo/mapped 409600
        load fuse
        mkdir fuse
        fusey fuse &
        server=$!
        await fuse/file
        recorder
        crash
        : >$X/sync/up
        await $X/sync/reading
        sh -c 'cp new /srv/geo/live; :'
        : >$X/sync/updated
        # By one process each: a log on NFS again and again, another on this host's disk, a file on FUSE.
        sh -c 'i=0; while [ $i -lt 1000 ]; do echo 0123456789 >/srv/geo/log; i=$((i + 1)); done'
        sh -c 'i=0; while [ $i -lt 10 ]; do echo 0123456789 >log; i=$((i + 1)); done'
        # By a process each, of one shell, and then by somebody else.
        sh -c 'i=0; while [ $i -lt 20 ]; do (echo 0123456789 >/srv/geo/children); i=$((i + 1)); done'
        sh -c 'cp new /srv/geo/children; :'
        # Of a file that is mapped here: who maps it is looked for once.
        python3.11 -c 'import mmap, os
file = os.open("/srv/geo/mapped", os.O_RDWR)
memory = mmap.mmap(file, 409600)
for page in range(99, -1, -1):
    os.ftruncate(file, 4096 * page)'
        truncate -s 4096 fuse/file
        # This its server does inside of open(2).
        sh -c ': >fuse/file'
        # This the server refuses, and not before it is asked to.
        python3.11 -c 'import os, subprocess
file = os.open("/srv/geo/kept", os.O_RDWR)
subprocess.run(["chattr", "+a", "/mnt/ext4/export/two/kept"], check=True)
try:
    os.ftruncate(file, 0)
except PermissionError:
    raise SystemExit(42)'
        [ $? = 42 ] || exit 99
        await $X/sync/reader.json
        sleep 1
        stop
        kill $server
        whybus list --state-dir $S --warnings -n 0 -o json >/results/shrinks.json 2>/results/shrinks.note
        whybus list --state-dir $S --warnings -o oneline --utc >/results/shrinks.txt 2>&1
        { whybus why --state-dir $S /srv/geo/live; whybus why --state-dir $S --path /srv/geo/live; } >/results/culprit.txt 2>&1
        whybus export --state-dir $S >/results/export.json
        cp /results/export.json $X/sync/part
        mv $X/sync/part $X/sync/updater.json
        whybus import --state-dir $S $X/sync/reader.json
        told $S why
        await $X/sync/end
    else
        until served two /efs; do sleep 0.5; done
        served sync /sync ,actimeo=0
        # It is two seconds behind.
        busybox date -s "@$(($(busybox date +%s) - 2))"
        await /sync/up
        recorder
        crash
        reading /efs/live 81000 wait
        : >/sync/reading
        await /sync/updated
        # Somebody opens it again.
        head -c 1 /efs/live
        : >/efs/live.go
        wait $victim
        sleep 1
        stop
        whybus why --state-dir $S -o json reader >/results/alone.json
        whybus export --state-dir $S >/results/export.json
        cp /results/export.json /sync/part
        mv /sync/part /sync/reader.json
        await /sync/updater.json
        whybus import --state-dir $S /sync/updater.json
        told $S why
        for from in reader updater; do whybus import --state-dir /mnt/ext4/third /sync/$from.json; done
        told /mnt/ext4/third third
        whybus stats --state-dir /mnt/ext4/third --by signature -o json >/results/signatures.json
        whybus list --state-dir /mnt/ext4/third --comm geo_user -o json >/results/crashes.json
        : >/sync/end
    fi
)
