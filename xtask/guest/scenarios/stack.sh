# Who called memcpy(3): a dynamic program without frame pointers, a static one with frame pointers, lines and no unwind
# tables, one that is stripped, and one whose names and lines are in a debug file.
#: {"class": "truncated", "confidence": "proven", "victim": "lookup", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": {"any": true}, "size": 4096, "path": "$D/lookup.db", "how": "ftruncate", "old": 1048576, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 lookup.db", "parents": ["sh", "init"], "calls": "geo_lookup ← serve ← main"}
#: {"class": "truncated", "confidence": "proven", "victim": "lookup_frames", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": {"any": true}, "size": 4096, "path": "$D/lookup_frames.db", "how": "ftruncate", "old": 1048576, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 lookup_frames.db", "parents": ["sh", "init"], "calls": "copy_row ← geo_lookup ← serve ← main", "lines": "memcpy(row, from, sizeof row); ← copy_row(database + offset); ← return geo_lookup(database, offset) + row[2]; ← sum += serve(database, atol(argv[2]));"}
#: {"class": "truncated", "confidence": "proven", "victim": "lookup_bare", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": {"any": true}, "size": 4096, "path": "$D/lookup_bare.db", "how": "ftruncate", "old": 1048576, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 lookup_bare.db", "parents": ["sh", "init"]}
#: {"class": "truncated", "confidence": "proven", "victim": "lookup_debug", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": {"any": true}, "size": 4096, "path": "$D/lookup_debug.db", "how": "ftruncate", "old": 1048576, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 lookup_debug.db", "parents": ["sh", "init"], "calls": "copy_row ← geo_lookup ← serve ← main", "lines": "memcpy(row, from, sizeof row); ← copy_row(database + offset); ← return geo_lookup(database, offset) + row[2]; ← sum += serve(database, atol(argv[2]));"}
# Interrupts are off there: one file is looked up, that of the instruction.
#+arm64&kprobes: [{"calls": null}, null, null, null]
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
# Of a user only so many stacks are captured within a second, and the scenario before may have had them.
sleep 1
for program in lookup lookup_frames lookup_bare lookup_debug; do
    make $program.db 1048576
    $program "$D/$program.db" 81920 &
    victim=$!
    await $program.db.ready
    truncate -s 4096 $program.db
    wait $victim
done
