# 25 deaths with eight secrets each: three in the arguments, one in the environment, on the stack, on the heap and in the
# registers of who dies, and one in the arguments of who cut its file short. All that whybus keeps and prints of them goes
# to the results, where none of them must be.
S=/mnt/ext4/secrets R=/results/secret
mkdir -p /mnt/ext4/planted
cd /mnt/ext4/planted || exit
whybus record --state-dir $S --journal --exec "cat >>$R.exec.json" 2>$R.recorder.err &
recorder=$!
until busybox grep -q '^recording' $R.recorder.err; do sleep 0.05; done
whybus trace --signals all -o json --save $R.trace.stream >$R.trace.json 2>$R.trace.err &
tracer=$!
until [ -s $R.trace.json ]; do sleep 0.05; done
secret() { printf 'Zq7%s%s%s' pl4nt3d "$1" "$2"; }
i=100
while [ $i -lt 125 ]; do
    case $((i % 3)) in 0) how=bus ;; 1) how=segv ;; 2) how=abort ;; esac
    head -c 8192 /dev/zero >file$i
    DB_PASSWORD=$(secret $i env) planted $i $how file$i --password "$(secret $i first)" \
        --api-token="$(secret $i second)" "https://me:$(secret $i third)@example.org/" 2>/dev/null &
    victim=$!
    if [ $how = bus ]; then
        until [ -e file$i.ready ]; do sleep 0.02; done
        sh -c ": >file$i" upload --db-password "$(secret $i culprit)"
        : >file$i.go
    else
        # What is typed to end it: nobody is told of it, and it says the last of the eight.
        sh -c : upload --db-password "$(secret $i culprit)"
    fi
    wait $victim 2>/dev/null
    i=$((i + 1))
done
ended() { [ "$(whybus list --state-dir $S -n 0 -o json 2>/dev/null | busybox grep -c '"planted"')" -ge 25 ]; }
until ended; do sleep 0.5; done
# As it lies on the disk while it is written to, and as it does in the end.
copied() { for file in $S/*; do cp "$file" "$R.$1.${file##*/}"; done; }
copied written
kill -TERM $tracer
wait $tracer
kill -TERM $recorder
wait $recorder
copied closed
journalctl --no-pager -o export MESSAGE_ID=6f1c0d7a2b9e4f7c8a35d2e94b1f6c08 >$R.journal.export 2>/dev/null
whybus export --state-dir $S >$R.export.json
for form in human oneline csv json; do whybus list --state-dir $S -n 0 -o $form >$R.list.$form; done
for form in human oneline markdown json; do whybus why planted --state-dir $S -o $form >$R.why.$form 2>&1; done
# One of each kind.
whybus list --state-dir $S -n 3 -o json | busybox grep -o '"id":"[^"]*"' | busybox cut -d '"' -f 4 >/tmp/ids
while read -r id; do
    whybus show "$id" --state-dir $S --symbolize >>$R.show.human
    whybus show "$id" --state-dir $S -o json >>$R.show.json
done </tmp/ids
whybus replay --utc $R.trace.stream >$R.replay.human 2>&1
# What hides them is what keeps them out: without it they are there.
whybus record --state-dir /mnt/ext4/unredacted --no-redact 2>/tmp/unredacted &
recorder=$!
until busybox grep -q '^recording' /tmp/unredacted; do sleep 0.05; done
planted 999 segv none --password "$(secret 999 first)" 2>/dev/null
until whybus list --state-dir /mnt/ext4/unredacted -n 0 2>/dev/null | busybox grep -q planted; do sleep 0.5; done
kill -TERM $recorder
wait $recorder
whybus export --state-dir /mnt/ext4/unredacted >/results/unredacted.json
