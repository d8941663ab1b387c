"""Tenants: whose budget a signal is on, in check, in status and at /metrics, over a reload and a restart."""
import random
import subprocess
import time

from case_api import cli
from case_life import gauge
from harness import check, wait_until

HEAD = "engine:\n  tick: 200ms\n  shards: 2\n  checkpoint: 10s\ndetect:\n  signals_per_day: 3\n  groups: false\n"
TENANTS = HEAD + """tenants:
  - name: payments
    match: '{team="payments"}'
    signals_per_day: 5
  - name: shop
    match: '{team=~"shop|payments"}'
    signals_per_day: 2
"""
OTHERS = HEAD + """tenants:
  - {name: shop, match: '{team="shop"}', signals_per_day: 2}
  - {name: search, match: '{team=~"p.*|search"}', signals_per_day: 0.5}
"""


def budgets(place):
    """Signals are counted for the tenant that the series belongs to; reload and restart keep what was learnt."""
    said = subprocess.run([place.binary, "check", "--explain", 'latency_ms{team="payments"}',
                           place.write("tenants.yaml", TENANTS)], capture_output=True, text=True)
    check("budget: payments  (5 signals a day)" in said.stdout, said.stdout + said.stderr)
    quell = place.quell(TENANTS)
    noise = random.Random(5)
    began = time.time() - 3000

    def send(team, points):
        body = gauge("latency_ms", {"team": team}, points)
        check(quell.post("/v1/metrics", body)[0] == 200, "samples")

    def tenants():
        return quell.get("/api/v1/status")["false_alarms"]["tenants"]

    wait_until("the tenants are known", lambda: set(tenants()) == {"default", "payments", "shop"}, 30)
    for team in ("payments", "shop", "search"):
        send(team, [(began + 10 * i, 100 + noise.gauss(0, 5)) for i in range(280)])
    send("payments", [(began + 2800 + 10 * i, 900) for i in range(10)])
    quell.settled()
    seen = wait_until("the signal is on the tenant's budget",
                      lambda: (t := tenants())["payments"]["signals_last_day"] >= 1 and t, 60)
    check(seen["shop"]["signals_last_day"] == 0 and seen["default"]["signals_last_day"] == 0, str(seen))
    check(seen["payments"]["budget_per_day"] == 5 and seen["shop"]["budget_per_day"] == 2
          and seen["default"]["budget_per_day"] == 3, str(seen))
    check(abs(seen["payments"]["observed_to_nominal"] - seen["payments"]["signals_last_day"] / 5) < 1e-9, str(seen))
    check(quell.metric("ql_detect_tenant_signals_last_day", tenant="payments") ==
          quell.metric("ql_detect_signals_last_day") == seen["payments"]["signals_last_day"], "the sum is of all")
    check(quell.metric("ql_detect_tenant_budget_millisignals_per_day", tenant="shop") == 2000, "a budget at /metrics")
    check(quell.metric("ql_detect_budget_millisignals_per_day") == 10000, "the sum of budgets")
    check(quell.metric("ql_detect_tenant_threshold_millidecades", tenant="payments") >= 3000, "a threshold")
    status, out, err = cli(quell, "status")
    lines = [line.split() for line in out.splitlines()]
    check(status == 0 and ["false_alarms.tenants.payments.budget_per_day", "5"] in lines, out + err)

    check(quell.program.stop() == 0, "a clean stop")
    quell.start()
    again = wait_until("what was counted is known after a restart",
                       lambda: (t := tenants())["payments"]["signals_last_day"] >= 1 and t, 60)
    check(again["payments"]["signals_last_day"] == seen["payments"]["signals_last_day"], f"{seen} {again}")

    quell.reload(OTHERS.replace("name: search", "name: default"), "is no name for a tenant")
    check(set(tenants()) == {"default", "payments", "shop"}, "a refused list took effect")
    quell.reload(OTHERS, "configuration reloaded")
    wait_until("the new list", lambda: set(tenants()) == {"default", "shop", "search"}, 30)
    check(quell.metric("ql_detect_tenant_signals_last_day", tenant="payments") == 0, "a tenant that is gone")
    send("search", [(began + 2800 + 10 * i, 900) for i in range(10)])
    wait_until("a known series is the new tenant's",
               lambda: tenants()["search"]["signals_last_day"] == 1, 60)
    return f"{seen['payments']['signals_last_day']} of 5 a day"


CASES = [budgets]
