# Sourced behind lib.sh: a library and its next version.
cp /lib/*-linux-gnu/libgeo1.so libgeo.so
cp /lib/*-linux-gnu/libgeo2.so new.so
# using FUNCTION: loads libgeo.so, to call FUNCTION later
using() {
    geo_user "$D/libgeo.so" "$1" &
    victim=$!
    await libgeo.so.ready
}
