# pod.sh CGROUP CMD…: starts a command in a cgroup of its own, and removes that with it.
group=$1
shift
mkdir -p "$group"
sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" "$@"
until rmdir "$group" 2>/dev/null; do :; done
