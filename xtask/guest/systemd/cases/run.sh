# The recorder as a service, and everything that dies or cuts files short under it. What must be
# recorded of it stands in tracer/tests/guest/systemd.rs.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mkdir -p /results
# at WHAT: how far it is, for who watches the console.
at() { echo "$(cut -d ' ' -f 1 /proc/uptime) $1" | tee -a /results/progress; }
main() { systemctl show -p MainPID --value "$1"; }
# until COMMAND…: waits until it succeeds, 20 s at most.
await() {
    i=0
    until "$@"; do
        i=$((i + 1))
        [ $i -lt 400 ] || { at "waited in vain: $*"; return 1; }
        sleep 0.05
    done
}
ended() { ! systemctl --quiet is-active "$1"; }
make() { head -c 1048576 /dev/zero >"$1"; }
at "up"
systemd-analyze blame --no-pager >/results/blame 2>&1

# As packaging/whybus.service tells it.
cp /root/whybus /usr/local/bin/whybus
cp /root/whybus.service /etc/systemd/system/whybus.service
systemctl daemon-reload
systemctl enable --now whybus 2>/results/enable.err
systemctl is-active whybus >/results/active
at "recording"

cd /usr/local/bin || exit
for name in killed hog silent commanded segv bus loop deaf orderly drained interrupted instant spinner parting twin; do ln victim $name; done
for name in served rotated contained warned typed admin console detached; do ln reader $name; done
ln spoke spoken
cd /
head -c 4096 /dev/zero >/srv/short
for name in served rotated contained outside warned typed admin console detached; do make /srv/$name; done

# cron needs up to a minute: it goes first, and is waited for last.
systemctl start served orderly killed commanded deaf drained interrupted
await test -e /srv/served.ready
# Before, a full minute might cut the file short while nobody maps it yet.
cp /cases/careless /etc/cron.d/careless

# What is started next takes nobody's place.
systemctl start missing 2>/dev/null
for name in segv bus hog silent loop shell cpu; do systemctl start $name; done
kill -9 "$(main killed)"
systemctl kill -s KILL commanded
systemctl stop orderly
systemctl stop deaf drained interrupted
# Two units of one command: that of the second is no restart of the first.
for signal in BUS USR1; do
    systemd-run --quiet --unit=twin-$signal --property=Type=exec /usr/local/bin/twin wait
    systemctl kill -s $signal twin-$signal
    await ended twin-$signal
done
# What each of its threads may do.
for status in /proc/"$(main whybus)"/task/*/status; do
    awk '/^(Name|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):/ {printf "%s ", $2} END {print ""}' "$status"
done >/results/confined
systemd-analyze security --no-pager whybus >/results/security 2>&1
at "units"

systemctl start rotated
await test -e /srv/rotated.ready
systemctl start rotate.timer
await ended rotated
at "timer"

systemctl start warned
await test -e /srv/warned.ready
main warned >/results/warned.pid
truncate -s 4096 /srv/warned
# After the look for who mapped the last file that was shrunk there is a rest, nine times as long.
warned() { whybus list --warnings -n 0 -o json 2>/dev/null | grep -q /srv/warned; }
await warned
systemctl stop warned
at "warning"

# Somebody logs in, on a terminal as sshd(8) makes one and on a console; of root's group, so that su(1) trusts her.
useradd -m -u 1000 -G root -s /bin/bash alice 2>/results/login.err
cp /cases/profile.sh /home/alice/.profile
sed -i 's/^# *\(auth.* pam_wheel.so trust\)$/\1/' /etc/pam.d/su
for name in typed admin console detached; do
    systemd-run --quiet --unit=$name /usr/local/bin/$name /srv/$name 900000
    await test -e /srv/$name.ready
done
chown alice /srv/typed /srv/console
# (Where login(1) waits for a terminal that hangs up, it waits for ever.)
timeout 60 script -qc "login -f alice" /results/login </dev/null
await ended typed
await ended admin
systemctl start getty@tty2
await ended console
# Without a terminal, as of a daemon that was started out of a session, and lives on.
sh -c 'echo 1000 >/proc/self/loginuid; exec setsid truncate -s 4096 /srv/detached'
await ended detached
at "logins"

systemd-run --quiet --scope --slice=user-0.slice --unit=session-7 bash /cases/session.sh >/dev/null 2>&1
at "session"

# The journal that journald writes to is cut short. Some time after an entry journald sets the file to the size
# that it knows (sd-journal/journal-file.c journal_file_post_change), and nothing is missing then: it must be idle.
journalctl --flush
journal=$(ls /var/log/journal/*/system.journal)
idle() {
    touched=$(stat -c %y "$journal")
    sleep 1
    [ "$(stat -c %y "$journal")" = "$touched" ]
}
await idle
truncate -s 0 "$journal"
logger "is anybody there?"
sleep 1
logger "still?"
at "journal"

# Behind it: what was said before is gone with the journal.
make /srv/spoken
systemd-run --quiet --unit=spoken /usr/local/bin/spoken /srv/spoken 900000
await test -e /srv/spoken.ready
truncate -s 4096 /srv/spoken
await ended spoken
at "a word to the journal"
# Gone at once, before anybody can look.
systemd-run --quiet --unit=parting /bin/sh -c 'echo "cannot read the database" >&2; exec /usr/local/bin/parting segv'
await ended parting
at "a parting word to the journal"

mkdir -p /image
cp /root/busybox /usr/local/bin/victim /usr/local/bin/reader /image
cp /usr/local/bin/spoke /image/chatty
for name in podded named; do ln /image/victim /image/$name; done
tar -C /image -cf /image.tar .
podman --log-level=error import -q /image.tar case >/results/import 2>&1
contained() { podman run --network none -v /srv:/srv "$@"; }
contained -d --name geo-reader --cidfile /results/victim.cid case /reader /srv/contained 900000 >/dev/null 2>/results/podman.err
await test -e /srv/contained.ready
truncate -s 4096 /srv/contained
podman wait "$(cat /results/victim.cid)" >/results/victim.status
at "container as victim"
/usr/local/bin/reader /srv/outside 900000 &
await test -e /srv/outside.ready
contained --name geo-updater --cidfile /results/culprit.cid case /busybox truncate -s 4096 /srv/outside 2>>/results/podman.err
wait $!
at "container as culprit"
contained --name geo-instant --cidfile /results/instant.cid case /victim segv 2>>/results/podman.err
echo $? >/results/instant.status
podman rm geo-instant >/dev/null 2>>/results/podman.err
at "container of a millisecond"
make /srv/chatty
contained -d --name geo-chatty case /chatty /srv/chatty 900000 >/dev/null 2>>/results/podman.err
await test -e /srv/chatty.ready
truncate -s 4096 /srv/chatty
podman wait geo-chatty >/dev/null
at "container that speaks"

# containerd with runc: a container of ctr's own, and one as its CRI plugin makes it, in a pod of the kubelet's.
systemctl start containerd
podman save -q --format docker-archive -o /case.tar case >/results/ctr.out 2>&1
ctr image import /case.tar >>/results/ctr.out 2>&1
ctr run --rm localhost/case:latest geo-named /named segv >>/results/ctr.out 2>&1
echo $? >/results/named.status
at "container of containerd"
mkdir -p /var/log/pods/shop_geo-api-7d9f_5f0c9f7e-43a1-4b53-8b5e-0a7b5f2f1d10/api
id=fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210
slice=kubepods-burstable-pod5f0c9f7e_43a1_4b53_8b5e_0a7b5f2f1d10.slice
ctr -n k8s.io run --rm --runc-systemd-cgroup --cgroup "$slice:cri-containerd:$id" --config /cases/podded.json \
    "$id" >/results/cri.out 2>&1
echo $? >/results/podded.status
at "container of a pod"

mkdir -p /var/log/pods/shop_laid-out_d3b07384-d9a0-4c8e-9f6d-1c2a3b4c5d6e/web
id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
pod=kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podd3b07384_d9a0_4c8e_9f6d_1c2a3b4c5d6e.slice
sh /cases/pod.sh "/sys/fs/cgroup/$pod/cri-containerd-$id.scope" /usr/local/bin/instant segv
at "pod"

await ended served || await ended served || await ended served
at "cron"
# Restarts are told, and the last word is had of everything.
sleep 2
systemctl stop whybus
systemctl show -p Result -p ExecMainStatus whybus >/results/stopped
units="killed hog silent commanded segv bus loop deaf orderly drained interrupted shell cpu served rotated systemd-journald"
units="$units typed admin console detached spoken parting"
for unit in $units; do
    whybus why $unit.service -o json >/results/why-$unit.json 2>/results/why-$unit.err
    whybus why $unit.service --utc >>/results/why.txt 2>&1
done
for container in victim instant; do
    whybus why --container "$(cut -c 1-12 /results/$container.cid)" -o json >/results/why-$container.cid.json 2>/results/why-$container.cid.err
done
# As people call them.
named() {
    out=$1
    shift
    whybus why "$@" -o json >/results/why-$out.json 2>/results/why-$out.err
}
named geo-reader geo-reader
named geo-instant --container geo-instant
named geo-chatty geo-chatty
# The commands that read what was said, as they are told.
said() { whybus why "$1" --utc | sed -n "s/^.* went to .*: \($2 .*\)/\1/p" | sh >"/results/said-$1" 2>&1; }
said spoken journalctl
said parting journalctl
said geo-chatty podman
named geo-named geo-named
named geo-api-7d9f pod/geo-api-7d9f
named image --image case --comm reader
named namespace --namespace shop --pod laid-out
named copied "containerd://fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
whybus why --container "$id" -o json >/results/why-pod.json 2>/results/why-pod.err
whybus why --unit cases.service --class truncated -o json >/results/why-cases.json 2>/results/why-cases.err
whybus list -n 0 -o json >/results/list.json 2>/results/list.err
whybus list -n 0 -o oneline --utc >/results/list.txt 2>&1
whybus list --warnings -n 0 -o json >/results/warnings.json 2>/results/warnings.err
dmesg >/results/dmesg
ls -lR /var/log/journal >/results/journals
whybus export >/results/export.json 2>/results/export.err
journalctl -b --no-pager -o short-monotonic >/results/journal.txt 2>&1
journalctl --no-pager -u whybus >/results/whybus.journal 2>&1
at "told"
tar -cf /dev/vdb -C / results
sync
echo WHYBUS-DONE
systemctl poweroff --force --force
