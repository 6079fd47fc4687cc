# Sourced by scenarios on FUSE: fuse DIR starts a server (pid in $server) with one file, which FILE
# then is too; beside FILE there is room for what the programs under test say.
# fuse DIR FILE
fuse() {
    load fuse
    mkdir -p "$1"
    fusey "$1" &
    server=$!
    until [ -e "$1/file" ]; do sleep 0.02; done
    : >"$2"
    mount --bind "$1/file" "$2" || exit 99
}
# unfuse DIR FILE: ends it and leaves nothing mounted, or the next one would not be the only FUSE file system
unfuse() {
    umount -l "$2" "$1"
    kill $server
    wait $server || :
}
