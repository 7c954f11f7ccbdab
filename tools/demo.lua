-- SPDX-License-Identifier: MIT
-- Mixed load for the demo: of 20 requests 17 say hello, 2 compute, 1 sleeps.
local paths = {}
for i = 1, 17 do paths[i] = "/" end
paths[18] = "/fib?n=24"
paths[19] = "/fib?n=27"
paths[20] = "/sleep?ms=20"

local turn = 0

request = function()
    turn = turn % #paths + 1
    return wrk.format("GET", paths[turn])
end

done = function(summary, latency, _)
    -- wrk notices a refused connection when it first writes to it. What was written and
    -- got no whole answer is a read error or a timeout.
    local errors = summary.errors
    io.write(string.format(
        "result requests=%d failed=%d lost=%d refused=%d p50_ms=%.2f p99_ms=%.2f rate=%.0f\n",
        summary.requests, errors.status, errors.read + errors.timeout,
        errors.connect + errors.write, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        summary.requests / (summary.duration / 1e6)))
end
