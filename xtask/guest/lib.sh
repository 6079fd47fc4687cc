# Sourced by every scenario: D is its own empty directory on the file system under test.
D=$1
cd "$D" || exit 99
exec >/dev/null 2>&1

await() { until [ -e "$1" ]; do sleep 0.02; done; }
# make FILE BYTES
make() { head -c "$2" /dev/zero >"$1"; }
# reading FILE OFFSET [wait]: starts a reader and waits until it reads
reading() {
    reader "$1" "$2" $3 &
    victim=$!
    await "$1.ready"
}
# load NAME: loads a module and what it needs, unless it is built in or there already
load() { for module in $(cat "/modules.d/$1"); do busybox insmod "$module" 2>/dev/null; done; }
# watched TRACEPOINT: waits until a tracer has hooked that of a module, which it looks for once a second
watched() {
    i=0
    until for pid in $(busybox pidof whybus); do cat /proc/$pid/fdinfo/*; done 2>/dev/null | grep -q "^tp_name:.$1" || [ $i -eq 25 ]; do
        sleep 0.2
        i=$((i + 1))
    done
}
# fill DIR: takes all room there is, in ever smaller pieces, until not even a page is left
fill() {
    for size in 64M 16M 4M 1M 64K 4K; do
        i=0
        while [ $i -lt 40 ] && fallocate -l $size "$1/fill.$size.$i"; do i=$((i + 1)); done
    done
    sync
}
# break_device NAME SECTORS: lets every access to a device-mapper device fail from now on
break_device() {
    dmsetup suspend --noudevsync --noflush --nolockfs "$1" || exit 99
    dmsetup reload "$1" --table "0 $2 error" || exit 99
    dmsetup resume --noudevsync "$1" || exit 99
}
# What is looked at right after a fault must still be there.
linger() { sleep 1; }
# by_hand USER COMMAND: on a terminal, in a session as a login of that user opens it (pam_loginuid(8))
by_hand() {
    mkdir -p /dev/pts
    [ -e /dev/pts/ptmx ] || busybox mount -t devpts devpts /dev/pts
    (
        echo "$1" >/proc/self/loginuid || exit 99
        script -qc "$2" /dev/null </dev/null
    )
}
