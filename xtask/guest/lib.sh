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
