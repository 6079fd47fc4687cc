# uses_geo.py DIRECTORY: loads an extension module from there, and calls it once DIRECTORY/go is there.
import os
import sys
import time

sys.path.insert(0, sys.argv[1])
import pygeo

open(sys.argv[1] + "/ready", "w").close()
while not os.path.exists(sys.argv[1] + "/go"):
    time.sleep(0.01)
print(pygeo.height())
