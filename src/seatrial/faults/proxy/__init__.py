"""The fault proxy of one link: a small process of its own, told what to do by JSON lines on stdin.

loop      epoll and timers, exact to tens of microseconds
toxics    what a toxic is, which attributes it takes, and which connections it hits (seeded)
flow      one direction of one connection: order, delay, rate, hold, back-pressure, FIN and RST
pair      one connection: near end, dial, far end
server    the listener, the toxics in force, counters
control   the JSON lines

Not asyncio: a loop of its own forwards with less work per chunk, waits with sub-millisecond timers (asyncio's epoll
rounds up to whole milliseconds), and keeps RST, FIN and back-pressure in our hands.
"""
