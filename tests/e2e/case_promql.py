"""The same samples in quell and in a real Prometheus, the same questions, the same numbers."""
import json
import math
import os
import random
import struct
import time
import urllib.parse

from bodies import snappy_literal, write_request
from case_prometheus import Prometheus
from harness import Program, check, fetch, fetch_json, free_port, need, wait_until

STEP_S = 15
SPAN_S = 2 * 3600
STALE = struct.unpack("<d", struct.pack("<Q", 0x7ff0000000000002))[0]
SEED = 20260105


# ---- remote write by hand ----------------------------------------------------------------

def send(url, series):
    status, _, body = fetch(url, body=snappy_literal(write_request(series)), method="POST", headers={
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0"})
    check(status // 100 == 2, f"{url}: {status} {body[:200]!r}")


# ---- the data -------------------------------------------------------------------------------

def story(start_ms):
    """{labels as JSON: [(ms, value)]}: counters with resets, gauges, gaps, ends, odd times."""
    rng = random.Random(SEED)
    out = {}

    def put(name, make, jitter=0, **labels):
        key = json.dumps({"__name__": name, **labels}, sort_keys=True)
        samples, last = [], -1
        for i in range(SPAN_S // STEP_S):
            value = make(i)
            if value is None:
                continue
            ms = max(start_ms + i * STEP_S * 1000 + (rng.randrange(jitter) if jitter else 0), last + 1)
            samples.append((ms, value))
            last = ms
        out[key] = samples

    for instance in "abc":
        for code, rate in (("200", 30), ("500", 2), ("404", 7)):
            total = [rng.randrange(5000)]

            def counter(i, total=total, rate=rate, instance=instance):
                if instance == "b" and i in (100, 333):
                    total[0] = 0  # a restart
                total[0] += rng.randrange(rate + 1)
                return None if instance == "c" and 200 <= i < 260 else float(total[0])
            put("http_requests_total", counter, job="web", instance=instance, code=code)
        put("temperature", lambda i, k=ord(instance): round(20 + 8 * math.sin((i + k) / 40) + rng.gauss(0, 1), 3),
            jitter=900, job="room", instance=instance, room="r" + instance)
        put("load", lambda i: rng.gauss(0, 3), job="web", instance=instance)
        put("limit", lambda i, k=ord(instance): float(k), job="web", instance=instance)
    put("flag", lambda i: float(i // 50 % 2), job="web")
    put("constant", lambda i: 42.0, job="web")
    put("short", lambda i: float(i) if i < 90 else None, job="web", part="first")
    put("short", lambda i: float(-i) if 150 < i < 300 else STALE if i == 300 else None, job="web", part="second")
    put("stops", lambda i: 1.5 * i if i < 240 else STALE if i == 240 else None if i < 300 else 7.0, job="batch")
    put("sparse", lambda i: float(i % 7) if i % 14 == 0 else None, job="batch")
    put("tiny", lambda i: 1e-9 * rng.random(), job="batch")
    put("huge", lambda i: 1e15 + rng.random() * 1e9, job="batch")
    put("info", lambda i: 1.0, job="web", instance="a", version="1.2")
    put("info", lambda i: 1.0, job="web", instance="b", version="1.3")
    put("info", lambda i: 1.0, job="web", instance="c", version="1.3")
    counts = {le: 0 for le in ("0.1", "0.5", "1", "5", "+Inf")}

    def bucket(le):
        def make(_, le=le):
            bound = float("inf") if le == "+Inf" else float(le)
            counts[le] += sum(1 for _ in range(10) if le == "+Inf" or rng.expovariate(1.5) <= bound)
            return float(counts[le])
        return make
    for le in counts:
        put("latency_seconds_bucket", bucket(le), job="web", le=le)
    return {key: samples for key, samples in out.items()}


def deliver(data, start_ms, urls):
    """In the order of time, as a scraper's queue would bring it."""
    for first in range(0, SPAN_S, 300):
        lo, hi = start_ms + first * 1000, start_ms + (first + 300) * 1000
        series = [(json.loads(key), [s for s in samples if lo <= s[0] < hi]) for key, samples in data.items()]
        series = [(labels, samples) for labels, samples in series if samples]
        for url in urls:
            send(url, series)
    return sum(len(samples) for samples in data.values())


# ---- the questions ----------------------------------------------------------------------------

QUERIES = """
temperature
temperature{instance="a"}
temperature{instance!="a"}
temperature{instance=~"a|b"}
temperature{instance!~"a.*"}
{__name__=~"temperature|load",instance="b"}
{job="batch"}
http_requests_total{code=~"4..|5.."}
temperature offset 10m
temperature offset -5m
stops
short
sparse
nothing_here
rate(http_requests_total[5m])
rate(http_requests_total[1m])
rate(http_requests_total[47s])
rate(http_requests_total{code="500"}[15m] offset 7m)
increase(http_requests_total[10m])
increase(http_requests_total[1h])
irate(http_requests_total[5m])
delta(temperature[10m])
idelta(temperature[5m])
deriv(temperature[20m])
predict_linear(temperature[30m], 3600)
resets(http_requests_total[1h])
changes(flag[1h])
rate(stops[5m])
rate(short[5m])
increase(sparse[10m])
avg_over_time(temperature[10m])
min_over_time(temperature[10m])
max_over_time(temperature[10m])
sum_over_time(temperature[10m])
count_over_time(temperature[10m])
last_over_time(temperature[10m])
present_over_time(stops[3m])
stddev_over_time(temperature[10m])
stdvar_over_time(temperature[10m])
quantile_over_time(0.9, temperature[10m])
quantile_over_time(0, load[10m])
quantile_over_time(2, load[10m])
avg_over_time(huge[30m])
stddev_over_time(huge[30m])
sum_over_time(tiny[1h])
sum(rate(http_requests_total[5m]))
sum by (instance) (rate(http_requests_total[5m]))
sum without (code) (rate(http_requests_total[5m]))
avg by (code) (http_requests_total)
min by (job) (temperature)
max(temperature) by (instance)
count by (code) (http_requests_total)
group by (code) (http_requests_total)
stddev by (code) (http_requests_total)
stdvar(load)
quantile(0.75, load)
quantile by (job) (0.5, http_requests_total)
topk(2, http_requests_total)
bottomk(3, http_requests_total)
topk by (code) (1, http_requests_total)
topk(scalar(count(limit)) - 1, load)
sum by () (load)
sum(nothing_here)
1 + 2 * 3 ^ 2 - 4 / 8 % 3
-2 ^ 2
2 ^ 3 ^ 2
temperature * 9 / 5 + 32
-temperature
1 - load
load % 2
load ^ 2
2 ^ load
load > 0
0 < load
load > bool 0
1 > bool 2
temperature >= 20 <= 25
load == load
load != load
http_requests_total / on(instance, code) http_requests_total
sum by (instance) (rate(http_requests_total{code="500"}[5m])) / sum by (instance) (rate(http_requests_total[5m]))
load / limit
load - on(instance) limit
load * ignoring(job) limit
temperature - on(instance) load
http_requests_total * on(instance) group_left limit
http_requests_total * on(instance) group_left(version) info
limit * on(instance) group_right http_requests_total
http_requests_total / ignoring(code) group_left sum without (code) (http_requests_total)
load > limit
load < bool on(instance) limit
temperature and temperature > 22
temperature unless temperature > 22
temperature or load
load and on(instance) temperature > 22
load atan2 limit
abs(load)
ceil(load)
floor(load)
round(load)
round(load, 0.25)
exp(load)
ln(abs(load))
log2(abs(load))
log10(abs(load))
sqrt(abs(load))
sgn(load)
clamp(load, -1, 1)
clamp_min(load, 0)
clamp_max(load, 0)
clamp(load, 2, 1)
scalar(constant)
scalar(load)
vector(1.5)
time()
timestamp(temperature)
timestamp(stops)
timestamp(temperature + 1)
sort(temperature)
sort_desc(temperature)
absent(nothing_here{job="x",kind=~"y"})
absent(temperature)
absent_over_time(nothing_here[5m])
hour()
day_of_week(temperature * 1e8)
days_in_month(vector(1708300800))
month(vector(951782400))
year(vector(-1))
histogram_quantile(0.9, rate(latency_seconds_bucket[10m]))
histogram_quantile(0.5, sum by (le) (rate(latency_seconds_bucket[10m])))
histogram_quantile(0.9, latency_seconds_bucket)
histogram_quantile(1.5, latency_seconds_bucket)
100 * (1 - avg by (job) (rate(http_requests_total{code="200"}[5m])))
max_over_time(temperature[10m]) - min_over_time(temperature[10m])
sum(increase(http_requests_total[1h])) by (code) > 100
deg(load)
pi()
NaN
Inf - Inf
0 / 0
1 / 0
0x1F + 1e3 + .5
""".strip().splitlines()

# Only asked at one time.
INSTANT = ['temperature[2m]', 'stops[1h]', '"a text"', "'it\\'s'", '`raw \\n`', 'http_requests_total{code="500"}[3m] offset 20m']

# What must fail alike: same code, same class.
WRONG = """
temperature{
temperature{instance="a"
temperature{instance}
temperature[5x]
temperature[]
rate(temperature)
rate(temperature[5m], 1)
abs(1)
sum(1)
topk(temperature)
foo(1)
{}
{job=~".*"}
{job=~"("}
1 +
1 == 2
temperature and 1
temperature offset
(temperature + 1) offset 5m
temperature[5m] + 1
-temperature[5m]
"x" + 1
temperature bool 1
temperature + bool 1
temperature{a="b" c="d"}
sum by instance (temperature)
temperature temperature
)
'unterminated
temperature and on(instance) group_left load
load * on(instance) group_left(instance) limit
http_requests_total + on(instance) temperature
temperature + on(instance) http_requests_total
http_requests_total + on(job) http_requests_total
""".strip().splitlines()

# Valid in Prometheus, outside of the subset: 422 that names it.
UNSUPPORTED = [
    ("temperature[5m:1m]", "subqueries"), ("max_over_time(rate(temperature[5m])[1h:])", "subqueries"),
    ("temperature @ 1600000000", "@ modifier"), ("rate(temperature[5m] @ end())", "@ modifier"),
    ('label_replace(temperature, "a", "$1", "b", "(.*)")', "label_replace()"),
    ('label_join(temperature, "a", ",", "b")', "label_join()"),
    ("holt_winters(temperature[10m], 0.5, 0.5)", "holt_winters()"),
    ("histogram_count(temperature)", "histogram_count()"),
    ("histogram_sum(temperature)", "histogram_sum()"),
    ("histogram_fraction(0, 1, temperature)", "histogram_fraction()"),
    ('count_values("v", temperature)', "count_values"),
    ("mad_over_time(temperature[5m])", "mad_over_time()"),
    ("sort_by_label(temperature, \"a\")", "sort_by_label()"),
    ("limitk(2, temperature)", "limitk()"),
    ("+".join(["temperature"] * 200), "nested deeper"),
    ("(" * 150 + "1" + ")" * 150, "nested deeper"),
]


# ---- comparing -----------------------------------------------------------------------------------

def ask(base, path, parameters, method="GET"):
    query = urllib.parse.urlencode(parameters, doseq=True)
    if method == "POST":
        status, _, body = fetch(f"{base}{path}", body=query.encode(), method="POST",
                                headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=60)
    else:
        status, _, body = fetch(f"{base}{path}?{query}", timeout=60)
    return status, json.loads(body)


class Tally:
    def __init__(self):
        self.numbers = self.exact = 0
        self.worst = 0.0
        self.library = False  # a function of the mathematics library, which rounds by itself

    def same(self, a, b):
        """Both are texts of numbers."""
        self.numbers += 1
        x, y = float(a), float(b)
        if a == b or (math.isnan(x) and math.isnan(y)) or x == y:
            self.exact += 1
            return True
        scale = max(abs(x), abs(y))
        off = abs(x - y) / scale
        self.worst = max(self.worst, off)
        return self.library and off <= 1e-13


def keyed(result):
    return {json.dumps(row["metric"], sort_keys=True): row.get("values") or [row["value"]] for row in result}


def compare(query, theirs, ours, tally):
    tally.library = any(word in query for word in ("exp(", "ln(", "log2(", "log10(", "atan2", "^ load"))
    check(ours["data"]["resultType"] == theirs["data"]["resultType"],
          f"{query}: {ours['data']['resultType']}, not {theirs['data']['resultType']}")
    a, b = theirs["data"]["result"], ours["data"]["result"]
    if theirs["data"]["resultType"] == "string":
        check(a == b, f"{query}: {b}, not {a}")
        return
    if theirs["data"]["resultType"] == "scalar":
        check(a[0] == b[0] and tally.same(a[1], b[1]), f"{query}: {b}, not {a}")
        return
    if query.startswith("sort"):
        check([r["metric"] for r in a] == [r["metric"] for r in b] or "values" in (a + [{}])[0],
              f"{query}: order {b}, not {a}")
    x, y = keyed(a), keyed(b)
    check(x.keys() == y.keys(), f"{query}: missing {sorted(x.keys() - y.keys())[:3]}, "
                                f"extra {sorted(y.keys() - x.keys())[:3]}")
    for key in x:
        check([p[0] for p in x[key]] == [p[0] for p in y[key]],
              f"{query} {key}: {len(y[key])} points, not {len(x[key])}: "
              f"{sorted({p[0] for p in x[key]} ^ {p[0] for p in y[key]})[:5]}")
        for p, q in zip(x[key], y[key]):
            check(tally.same(p[1], q[1]), f"{query} {key} at {p[0]}: {q[1]}, not {p[1]}")


class Pair:
    """Quell and Prometheus with the same samples."""

    def __init__(self, place):
        self.quell = place.quell("limits:\n  sample_behind_max: 1d\n  series_new_per_min_max: 10000\n")
        self.prometheus = receiver(place)
        self.start_ms = int(time.time() - SPAN_S - 60) // 60 * 60 * 1000 + 137
        self.data = story(self.start_ms)
        total = deliver(self.data, self.start_ms, [self.quell.url + "/api/v1/write",
                                                   self.prometheus + "/api/v1/write"])
        self.quell.settled()
        check(self.quell.accepted("remote_write") == total, "more than was sent")
        self.end_s = self.start_ms / 1000 + SPAN_S

    def both(self, path, parameters, method="GET"):
        return ask(self.prometheus, path, parameters, method), ask(self.quell.url, path, parameters, method)


def receiver(place):
    """A Prometheus that takes remote write and scrapes nothing."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    place.write("receiver.yml", "global: {}\n")
    place.run("receiver", [need("prometheus"), f"--config.file={place.path('receiver.yml')}",
                           f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
                           f"--storage.tsdb.path={place.path('receiver-tsdb')}", "--log.level=warn"])
    wait_until("the receiver is ready", lambda: fetch(f"{url}/-/ready")[0] == 200, 30)
    return url


def promql_as_prometheus(place):
    """Every query of the table, at several times and over several grids, number by number."""
    pair = Pair(place)
    tally, asked, problems = Tally(), 0, []
    end = pair.end_s
    instants = [end - 10, end - 1234.5, pair.start_ms / 1000 + 1807.25, end + 200]
    grids = [(end - 3600, end, 60), (pair.start_ms / 1000 - 120, end + 400, 97), (end - 900, end - 600, 7.5)]
    for query in QUERIES + INSTANT:
        questions = [("/api/v1/query", {"query": query, "time": t}) for t in instants]
        if query not in INSTANT:
            questions += [("/api/v1/query_range", {"query": query, "start": a, "end": b, "step": s})
                          for a, b, s in grids]
        for i, (path, parameters) in enumerate(questions):
            (theirs_status, theirs), (ours_status, ours) = pair.both(path, parameters, ("GET", "POST")[i % 2])
            asked += 1
            try:
                check(ours_status == theirs_status,
                      f"{query}: {ours_status}, not {theirs_status}: {ours.get('error')} / {theirs.get('error')}")
                if theirs_status == 200:
                    compare(query, theirs, ours, tally)
            except Exception as problem:  # all of them are wanted, not the first
                problems.append(f"{path} {parameters}: {problem}")
                break
    check(not problems, f"{len(problems)} queries differ:\n" + "\n".join(problems[:25]))
    check(tally.numbers > 10000, f"only {tally.numbers} numbers were compared")
    return (f"{len(QUERIES) + len(INSTANT)} queries, {asked} answers, {tally.numbers} numbers, "
            f"{tally.exact} equal to the last digit, the others within {tally.worst:.1e}")


def promql_refuses(place):
    """Wrong queries fail as in Prometheus; those outside of the subset are 422 and named."""
    pair = Pair(place)
    problems = []
    for query in WRONG:
        (status, theirs), (ours_status, ours) = pair.both("/api/v1/query", {"query": query, "time": pair.end_s - 10})
        if (status, theirs.get("errorType")) != (ours_status, ours.get("errorType")) or status == 200:
            problems.append(f"{query}: {ours_status} {ours}, not {status} {theirs}")
    for query, name in UNSUPPORTED:
        status, ours = ask(pair.quell.url, "/api/v1/query", {"query": query, "time": pair.end_s})
        if status != 422 or ours["errorType"] != "execution" or name not in ours["error"] or \
                "not supported" not in ours["error"]:
            problems.append(f"{query[:80]}: {status} {ours}")
    for path, parameters in (
            ("/api/v1/query_range", {"query": "load", "start": 10, "end": 5, "step": 1}),
            ("/api/v1/query_range", {"query": "load", "start": 0, "end": 5, "step": 0}),
            ("/api/v1/query_range", {"query": "load", "start": 0, "end": 5, "step": "x"}),
            ("/api/v1/query_range", {"query": "load", "start": 0, "end": 50000, "step": 1}),
            ("/api/v1/query_range", {"query": "load[5m]", "start": 0, "end": 50, "step": 1}),
            ("/api/v1/query_range", {"query": "load", "start": "soon", "end": 50, "step": 1}),
            ("/api/v1/query_range", {"query": "load", "end": 50, "step": 1}),
            ("/api/v1/query", {"query": "load", "time": "noon"}), ("/api/v1/query", {}),
            ("/api/v1/series", {}), ("/api/v1/series", {"match[]": "load{"}),
            ("/api/v1/label/1a/values", {}), ("/api/v1/labels", {"match[]": "{}"})):
        (status, theirs), (ours_status, ours) = pair.both(path, parameters)
        if (status, theirs.get("errorType")) != (ours_status, ours.get("errorType")):
            problems.append(f"{path} {parameters}: {ours_status} {ours}, not {status} {theirs}")
    check(not problems, "\n".join(problems))
    return f"{len(WRONG)} wrong ones, {len(UNSUPPORTED)} unsupported ones"


def promql_lists(place):
    """Series, labels and values as Prometheus lists them, also below /prometheus."""
    pair = Pair(place)
    for path, parameters in (("/api/v1/series", {"match[]": "http_requests_total"}),
                             ("/api/v1/series", {"match[]": ["load", "limit{instance=\"a\"}"]}),
                             ("/api/v1/labels", {}), ("/api/v1/labels", {"match[]": "info"}),
                             ("/api/v1/label/instance/values", {}),
                             ("/api/v1/label/__name__/values", {"match[]": "{job=\"web\"}"}),
                             ("/api/v1/label/nothing/values", {})):
        (status, theirs), (ours_status, ours) = pair.both(path, parameters)
        check(status == ours_status == 200, f"{path}: {ours_status} {ours}, not {status}")
        order = (lambda rows: sorted(json.dumps(r, sort_keys=True) for r in rows)) if "series" in path else list
        check(order(theirs["data"]) == order(ours["data"]), f"{path} {parameters}: {ours['data']}, not {theirs['data']}")
    names = pair.quell.get("/prometheus/api/v1/label/__name__/values")["data"]
    check({"yhat", "anomaly_score", "ALERTS", "load"} <= set(names), f"{names}")
    types = pair.quell.get("/api/v1/metadata")["data"]
    check(types["http_requests_total"][0]["type"] == "counter", f"{types}")
    check(pair.quell.get("/api/v1/status/buildinfo")["data"]["version"] == "2.42.0", "version")
    return f"{len(names)} names"


# ---- what quell concluded, as series -------------------------------------------------------------

def gauge(start_ms, count, shape, step_ms=STEP_S * 1000, **labels):
    return ({"__name__": "queue_depth", **labels},
            [(start_ms + i * step_ms, shape(i)) for i in range(count)])


def values(quell, query, **more):
    return quell.get("/api/v1/query", query=query, **more)["data"]["result"]


def promql_bands(place):
    """Bands, scores and alerts are series: they fit their samples, and a spike stands out."""
    quell = place.quell("limits:\n  sample_behind_max: 1d\n")
    rng = random.Random(SEED)
    count, odd = 960, 60
    start_ms = int(time.time() - (count + odd) * STEP_S) * 1000
    calm = gauge(start_ms, count, lambda i: 50 + rng.gauss(0, 2), host="a", **{"for": "own"})
    storm = gauge(start_ms + count * STEP_S * 1000, odd, lambda i: 400 + rng.gauss(0, 2), host="a", **{"for": "own"})
    for labels, samples in (calm, storm):
        for at in range(0, len(samples), 40):
            send(quell.url + "/api/v1/write", [(labels, samples[at:at + 40])])
    quell.settled()
    check(quell.accepted("remote_write") == count + odd, "all is in")
    wait_until("a signal is open", lambda: quell.get("/api/v1/signals", state="open")["signals"])
    end, mid = start_ms / 1000 + (count + odd) * STEP_S, start_ms / 1000 + (count - 50) * STEP_S
    grid = {"start": mid, "end": end, "step": STEP_S}

    def row(query):
        result = quell.get("/api/v1/query_range", query=query, **grid)["data"]["result"]
        check(len(result) == 1, f"{query}: {result}")
        return result[0]["metric"], {t: float(v) for t, v in result[0]["values"]}
    labels, yhat = row('yhat{for="queue_depth"}')
    check(labels == {"__name__": "yhat", "for": "queue_depth", "exported_for": "own", "host": "a"}, f"{labels}")
    low, high = row('yhat_lower{host="a"}')[1], row('yhat_upper{exported_for="own"}')[1]
    score, seen = row("anomaly_score")[1], row("queue_depth")[1]
    check(seen.keys() == yhat.keys() == low.keys() == high.keys() == score.keys(), "not at the same times")
    for t in seen:
        check(low[t] <= yhat[t] <= high[t], f"{t}: {low[t]} {yhat[t]} {high[t]}")
        side = high[t] - yhat[t] if seen[t] >= yhat[t] else yhat[t] - low[t]
        check(abs(score[t] - min(1000, abs(seen[t] - yhat[t]) / side)) < 1e-6 * max(1, score[t]), f"{t}: {score[t]}")
    first_odd = [t for t in sorted(seen) if seen[t] > 200][0]
    check(score[first_odd] > 10, f"the spike scores {score[first_odd]}")
    inside = sum(score[t] <= 1 for t in seen if t < first_odd)
    check(inside >= 40, f"only {inside} of 50 calm samples lie in their band")
    # Only who asks for a name gets what was made.
    names = {r["metric"]["__name__"] for r in values(quell, '{host="a"}', time=end)}
    check(names == {"queue_depth"}, f"{names}")
    names = {r["metric"]["__name__"] for r in values(quell, '{__name__=~"yhat.*|queue.*"}', time=end)}
    check(names == {"queue_depth", "yhat", "yhat_lower", "yhat_upper"}, f"{names}")
    # Alerts: one that came in, one of our own.
    now = time.time()
    alert = [{"labels": {"alertname": "DiskFull", "severity": "page", "host": "a"},
              "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 600))}]
    check(quell.post("/api/v2/alerts", json.dumps(alert).encode())[0] == 200, "the alert")
    found = wait_until("it is a series", lambda: values(quell, 'ALERTS{alertname="DiskFull"}'))
    check(found[0]["metric"] == {"__name__": "ALERTS", "alertname": "DiskFull", "alertstate": "firing",
                                 "severity": "page", "host": "a"} and found[0]["value"][1] == "1", f"{found}")
    check(not values(quell, 'ALERTS{alertname="DiskFull"}', time=now - 660), "it fired before it began")
    over = quell.get("/api/v1/query_range", query='ALERTS{alertname="DiskFull"}', start=now - 900, end=now,
                     step=30)["data"]["result"][0]["values"]
    check(18 <= len(over) <= 21, f"{len(over)} points in ten minutes of 30 s")
    ours = values(quell, 'sum by (alertname, kind) (ALERTS{for="queue_depth"})')
    check(len(ours) == 1 and ours[0]["metric"]["alertname"] == "QuellSignal", f"{ours}")
    listed = quell.get("/prometheus/api/v1/alerts")["data"]["alerts"]
    check({a["labels"]["alertname"] for a in listed} == {"DiskFull", "QuellSignal"}, f"{listed}")
    alert[0]["endsAt"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 1))
    check(quell.post("/api/v2/alerts", json.dumps(alert).encode())[0] == 200, "its end")
    wait_until("it is over", lambda: not values(quell, 'ALERTS{alertname="DiskFull"}'))
    return f"{len(seen)} samples with their bands, {ours[0]['metric']['kind']} scores {score[first_odd]:.0f}"


def promql_day_cpu(place):
    """What a range query of one series over a day costs the daemon in CPU, storage and all: told
    here (5 ms are asked), held to no more than what a busy machine may make of it."""
    quell = place.quell("limits:\n  sample_behind_max: 2d\n")
    rng = random.Random(SEED)
    count = 86400 // STEP_S
    start_ms = int(time.time() - 86400) * 1000
    labels, samples = gauge(start_ms, count, lambda i: round(50 + rng.gauss(0, 2), 1), host="a")
    for at in range(0, count, 500):
        send(quell.url + "/api/v1/write", [(labels, samples[at:at + 500])])
    quell.settled()
    check(quell.accepted("remote_write") == count, "all is in")

    def cpu_ms():
        with open(f"/proc/{quell.program.child.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    told = []
    for query in ("queue_depth", "rate(queue_depth[5m])", "yhat"):
        parameters = {"query": query, "start": start_ms / 1000, "end": start_ms / 1000 + 86400, "step": 60}
        ask(quell.url, "/api/v1/query_range", parameters)
        began = cpu_ms()
        for _ in range(100):
            status, body = ask(quell.url, "/api/v1/query_range", parameters)
        each = (cpu_ms() - began) / 100
        points = len(body["data"]["result"][0]["values"])
        check(status == 200 and points > 1000, f"{query}: {points} points")
        told.append(f"{query} {each:.1f} ms")
        check(each < 50, f"{query}: {each:.2f} ms of CPU")
    return ", ".join(told)


CASES = [promql_as_prometheus, promql_refuses, promql_lists, promql_bands, promql_day_cpu]
