# What a new user types, and what the terminal shows: the README has it word for word.
# A host has a name.
echo web >/proc/sys/kernel/hostname
mkdir -p /dev/pts /srv /var/lib
busybox mount -t devpts devpts /dev/pts
ln -sf pts/ptmx /dev/ptmx
busybox mount --bind /mnt/ext4 /srv
cp /bin/reader /bin/geo-api
cd /srv || exit
head -c 1048576 /dev/zero >geo.db
head -c 4096 /dev/zero >new.db
cp geo.db good.db
(
    sleep 1
    echo 'whybus record &'
    until [ -e /var/lib/whybus/recorder ] && grep -q '"stopped":false' /var/lib/whybus/recorder; do sleep 0.2; done
    sleep 1
    echo 'geo-api geo.db 900000 &'
    sleep 1
    echo 'cp new.db geo.db; sleep 1'
    sleep 2
    echo 'cp good.db geo.db'
    sleep 1
    echo 'geo-api geo.db 900000 &'
    sleep 1.5
    echo 'whybus why geo-api'
    sleep 2
    echo 'exit'
    sleep 1
) | TERM=dumb NO_COLOR=1 PS1='# ' script -q -c 'exec bash --norc --noprofile -i' /tmp/typescript >/dev/null
# Without what script(1) adds.
busybox tr -d '\r' </tmp/typescript | busybox grep -v '^Script ' >/results/dialogue
busybox killall geo-api whybus
echo '(none)' >/proc/sys/kernel/hostname
