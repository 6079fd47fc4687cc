# mapped.py FILE: reads a mapped file once FILE.go is there.
import mmap
import os
import sys
import time

name = sys.argv[1]
with open(name, "rb") as file:
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
open(name + ".ready", "w").close()
while not os.path.exists(name + ".go"):
    time.sleep(0.01)
print(data[81000])
