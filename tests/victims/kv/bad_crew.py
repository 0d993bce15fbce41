"""A crew program that breaks in one way: garbage (prints what is no line of the protocol), crash or hang."""

import json
import sys
import time


def say(**line):
    print(json.dumps(line), flush=True)


how = sys.argv[1]
say(type="ready")
for text in sys.stdin:
    order = json.loads(text)
    if order["type"] == "exit":
        break
    if order["type"] != "arrival":
        continue
    number = order["arrival"]
    say(type="begin", id=number, verb="write", name="put", key=f"k-{order['user']}", value=str(number))
    if number == 20 and how == "garbage":
        print("segfault? never heard of it", flush=True)
    if number == 20 and how == "crash":
        sys.exit(7)
    if number == 20 and how == "hang":
        time.sleep(3600)
    say(type="end", id=number, outcome="ok")
    say(type="done", arrival=number)
