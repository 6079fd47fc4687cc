# Somebody else drowns the recorder in signals while ten lose the end of a file, ten are sent SIGTERM, and three die of one
# of too many. Then one has used up what signals are kept in for a user, and another what deliveries are told.
D=/mnt/ext4/flood
mkdir -p $D
whybus trace --signals term --no-warnings -o json --save /results/stream >/results/out.json 2>/results/err &
tracer=$!
until [ -s /results/out.json ]; do sleep 0.05; done
flood /results/sent 25 &
flood=$!
sleep 2
(
    set -- "$D"
    . /lib.sh
    for i in 1 2 3 4 5 6 7 8 9 10; do
        make live.$i 102400
        reading "$D/live.$i" 81000 wait
        truncate -s 0 live.$i
        : >live.$i.go
        wait $victim
        worker wait &
        victim=$!
        sleep 0.5
        kill -TERM $victim
        wait $victim
    done
    for i in 1 2 3; do flood prey; done
)
wait $flood
marked() {
    worker wait &
    victim=$!
    sleep 0.5
    shares marks $victim
    echo $? >>/results/shares
    kill -TERM $victim
    wait $victim
}
marked
shares zombies
echo $? >>/results/shares
flood prey
shares handled $D/enough &
for i in 1 2 3 4 5; do sleep 0.4; rescued $D/rescued; done
: >$D/enough
wait $!
echo $? >>/results/shares
sleep 1
kill -TERM $tracer
wait $tracer
echo "$?" >/results/trace.status
whybus replay -o json /results/stream >/results/replay.json
