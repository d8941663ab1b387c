"""amtool of Debian's prometheus-alertmanager, which believes that quell is one."""
import subprocess

from harness import check, need, wait_until


def amtool(place):
    quell = place.quell()
    tool = need("amtool")
    where = f"--alertmanager.url={quell.url}"
    done = subprocess.run([tool, "alert", "add", "DiskFull", "service=db", "severity=critical",
                           "--annotation=summary=the disk is full", where],
                          capture_output=True, text=True, timeout=30)
    check(done.returncode == 0, f"amtool alert add: {done.returncode} {done.stderr}")
    alert = wait_until("the alert is there", lambda: quell.get("/api/v1/alerts")["alerts"])[0]
    check(alert["name"] == "DiskFull", f"{alert}")
    check(alert["entity"] == "service/db", f"{alert}")
    check(alert["annotations"].get("summary") == "the disk is full", f"{alert}")
    incident = wait_until("an incident", lambda: quell.get("/api/v1/incidents")["incidents"])[0]
    check(incident["alert_count"] == 1, f"{incident}")
    done = subprocess.run([tool, "alert", "query", where], capture_output=True, text=True, timeout=30)
    check(done.returncode == 0 and "DiskFull" in done.stdout,
          f"amtool alert query: {done.returncode} {done.stdout} {done.stderr}")
    return incident["title"]


CASES = [amtool]
