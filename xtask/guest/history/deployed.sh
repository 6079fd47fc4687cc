# A program that is replaced while it runs: it dies as the old build twice, and then as the new one.
S=/mnt/ext4/deployments D=/mnt/ext4/deployed
mkdir -p $D
cd $D || exit
cp /bin/reader deployed
cp /bin/redeployed deployed.new
whybus record --state-dir $S 2>/tmp/deployed &
recorder=$!
until busybox grep -q '^recording' /tmp/deployed; do sleep 0.05; done
# dies MEANWHILE: one death, before which that is done
dies() {
    rm -f file.ready
    head -c 1048576 /dev/zero >file
    ./deployed file 900000 &
    victim=$!
    until [ -e file.ready ]; do sleep 0.05; done
    $1
    truncate -s 4096 file
    wait $victim
    # A time of another tick for each.
    sleep 1
}
dies true
dies "mv deployed.new deployed"
dies true
kill -TERM $recorder
wait $recorder
whybus list --state-dir $S -n 0 -o json >/results/deployed.list
whybus why --state-dir $S -o json deployed >/results/deployed.json
whybus why --state-dir $S --utc deployed >/results/deployed.txt 2>&1
id=$(busybox sed -n '2s/.*"id":"\([^"]*\)".*/\1/p' /results/deployed.list)
whybus show --state-dir $S --utc "$id" >/results/deployed.show 2>&1
