"""Opens the pages of `flatfire report` in Chromium and looks whether they can be read.

It fills a database with made-up loads, writes the page of thirty days and that of a month, and opens each at 360 and 1,280
pixels, light and dark, and as it is printed. Nothing may be fetched; every plot has marks, a name, a caption and its
numbers; text fits, is large enough and has contrast; headings are in order and heads of tables have a scope. It ends with
exit code 1 and every finding.

usage: check_report.py --binary FILE --uri URI [--chromium PROGRAM] [--keep FOLDER]

--binary   the built program `flatfire`
--uri      the connection string of a server, without a database
--chromium the browser (chromium)
--keep     keeps pages and pictures in this folder, and the database
"""

import argparse
import datetime
import html
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import pymongo
from bson.int64 import Int64

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATABASE = "flatfire_report_check"
# Where /dev/shm is small, as in containers, the browser would die without the last of these.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-dev-shm-usage"]
FLAGS += ["--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=4000"]
# Dark and light, as Blink numbers them.
SCHEMES = {"dark": 0, "light": 1}
WIDTHS = [360, 1280]
# A4 without its margins.
PRINTED_WIDTH = 700
# Whatever would fetch something, or run. URLs may stand in the text: paths of views name systems of codes.
FETCHES = re.compile(r"<(?:script|link|img|iframe|object|embed|base)\b|@import|url\(|(?:src|srcset|action)=|href=\"(?!#)")
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

MEASURE = r"""
const findings = [];
const say = text => { if (findings.length < 40) findings.push(text); };
const rgba = text => {
  const parts = (text.match(/[\d.]+/g) || ["0", "0", "0", "0"]).map(Number);
  return [parts[0], parts[1], parts[2], parts.length > 3 ? parts[3] : 1];
};
const luminance = ([r, g, b]) => {
  const part = value => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const contrast = (one, other) => {
  const [a, b] = [luminance(one), luminance(other)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
};
function measure(frame, scheme) {
  const page = frame.contentDocument, view = frame.contentWindow;
  const width = page.documentElement.clientWidth;
  const style = element => view.getComputedStyle(element);
  const isSeen = element => element.getClientRects().length > 0;
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(style(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  if (scheme && view.matchMedia("(prefers-color-scheme: dark)").matches !== (scheme === "dark")) say("the scheme is not " + scheme);
  const fetched = view.performance.getEntriesByType("resource");
  if (fetched.length) say("fetched: " + fetched.map(entry => entry.name).join(" "));
  if (page.documentElement.scrollWidth > width) say("the page is wider than the window: " + page.documentElement.scrollWidth);
  page.querySelectorAll("details").forEach(details => { details.open = true; });
  const name = element => element.tagName.toLowerCase() + " " + element.textContent.trim().slice(0, 40);
  let texts = 0;
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !isSeen(element) || element.closest(".skip, style, title")) continue;
    texts += 1;
    const inPlot = element.closest("svg");
    const range = page.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    const scrolls = element.closest(".scroll");
    const outer = (scrolls || page.body).getBoundingClientRect();
    if (!scrolls && (box.left < -1 || box.right > width + 1)) say("does not fit: " + name(element));
    if (scrolls && (outer.left < -1 || outer.right > width + 1)) say("the box of a table does not fit: " + name(element));
    const size = parseFloat(style(element).fontSize) * (inPlot ? inPlot.getBoundingClientRect().width / inPlot.viewBox.baseVal.width : 1);
    if (size < 9.5) say("small text, " + size.toFixed(1) + " px: " + name(element));
    const colour = rgba(inPlot ? style(element).fill : style(element).color);
    const ratio = contrast(colour, ground(inPlot ? inPlot.parentElement : element));
    if (ratio < 4.5) say("contrast " + ratio.toFixed(2) + ": " + name(element));
  }
  if (texts < 50) say("hardly any text: " + texts);
  const figures = [...page.querySelectorAll("figure")];
  if (figures.length < 3) say("figures: " + figures.length);
  let marks = 0;
  figures.forEach(figure => {
    const seen = [...figure.querySelectorAll("svg")].filter(isSeen);
    const title = figure.querySelector("figcaption");
    if (!title || !title.textContent.trim()) return say("a figure has no caption");
    if (seen.length !== 1) say("plots of " + name(title) + ": " + seen.length);
    seen.forEach(svg => {
      if (!svg.getAttribute("aria-label") || svg.getAttribute("role") !== "img") say("no name: " + name(title));
      const outer = svg.getBoundingClientRect();
      const bars = [...svg.querySelectorAll("rect")].filter(bar => bar.getBoundingClientRect().height > 0.5);
      marks += bars.length;
      if (!bars.length) say("no marks: " + name(title));
      bars.forEach(bar => {
        const ratio = contrast(rgba(style(bar).fill), ground(svg.parentElement));
        if (ratio < 3) say("a mark has contrast " + ratio.toFixed(2) + ": " + name(title));
        const box = bar.getBoundingClientRect();
        if (box.top < outer.top - 1 || box.bottom > outer.bottom + 1) say("a mark is outside: " + name(title));
      });
      const labels = [...svg.querySelectorAll("text")].map(text => text.getBoundingClientRect());
      if (labels.length < 4) say("labels: " + labels.length + " " + name(title));
      labels.forEach((one, index) => {
        if (one.left < outer.left - 1 || one.right > outer.right + 1) say("a label is cut: " + name(title));
        labels.slice(index + 1).forEach(other => {
          const apart = one.right <= other.left || other.right <= one.left || one.bottom <= other.top + 2 || other.bottom <= one.top + 2;
          if (!apart) say("labels overlap: " + name(title));
        });
      });
    });
    if (figure.querySelectorAll("details table tbody tr").length < 2) say("no numbers: " + name(title));
  });
  let level = 0;
  page.querySelectorAll("h1, h2, h3, h4").forEach(heading => {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say("a level is skipped before " + name(heading));
    level = next;
  });
  if (page.querySelectorAll("h1").length !== 1) say("there is not one h1");
  if (page.querySelector("th:not([scope])")) say("a head without a scope");
  if ([...page.querySelectorAll("table")].some(table => !table.caption)) say("a table without a caption");
  page.querySelectorAll("a[href^='#']").forEach(link => {
    if (!page.querySelector(link.getAttribute("href"))) say("a link leads nowhere: " + name(link));
  });
  if (!page.documentElement.lang || !page.title || !page.querySelector(".skip")) say("no language, title or skip link");
  page.querySelectorAll("details").forEach(details => { details.open = false; });
  return { texts, figures: figures.length, marks, height: page.documentElement.scrollHeight };
}
addEventListener("load", () => {
  const frame = document.querySelector("iframe");
  const measured = measure(frame, document.body.dataset.scheme);
  frame.style.height = measured.height + "px";
  document.getElementById("result").textContent = JSON.stringify({ findings, ...measured });
});
"""


def run(*command, codes=(0,)):
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if ended.returncode not in codes:
        sys.exit(f"{command[:2]} ended with {ended.returncode}: {ended.stderr}")
    return ended.stdout


def entry(number, at, status):
    """A load as the function leaves it."""
    key = f"incoming/{['lab', 'ward', 'radiology'][number % 3]}/{at:%Y/%m/%d}/file-{number}.ndjson.gz"
    records = 900 + number * 37 % 400
    rejected = {"partial": 3, "failed": records}.get(status, 0)
    codes = {"truncated": 2, "invalid-id": 1} if status == "partial" else {"looks-like-csv": 1} if status == "failed" else {}
    counts = {"records": records, "loaded": records - rejected, "unchanged": 0, "superseded": 0, "deleted": 0}
    counts |= {"deleteEntries": 0, "archived": 0, "rejected": rejected, "rows": 2 * (records - rejected), "viewDefects": 0}
    return {
        "_id": f"clinic/{key}@v{number}", "bucket": "clinic", "key": key, "versionId": f"v{number}", "created": at,
        "status": status, "attempts": Int64(1), "reading": Int64(1), "begun": at + datetime.timedelta(seconds=3),
        "ended": at + datetime.timedelta(seconds=5 + number % 40), "bytes": Int64(records * 210),
        "inflatedBytes": Int64(records * 2100), "counts": {name: Int64(count) for name, count in counts.items()},
        "types": {"Observation": Int64(counts["loaded"])}, "codes": {code: Int64(count) for code, count in codes.items()},
        "checks": {}, "drift": {}, "code": "0.1.0", "catalog": "c", "revision": Int64(1),
    }


def entries():
    """Loads of thirteen months: few at weekends, now and then one that failed, most of which were mended."""
    chance = random.Random(7)
    number = 0
    for days in range(400):
        at = NOW - days * DAY
        for _ in range(8 if at.weekday() > 4 else 30 + chance.randrange(20)):
            number += 1
            moment = at - datetime.timedelta(seconds=chance.randrange(3_000))
            status = chance.choices(["done", "partial", "failed", "superseded"], [970, 12, 8, 10])[0]
            load = entry(number, moment, status)
            if status == "failed" and chance.random() < 0.7:
                attempt = {"attempt": load["attempts"], "begun": load["begun"], "ended": load["ended"], "end": "failed"}
                load = entry(number, moment, "done") | {"history": [attempt | {"code": "0.1.0"}], "attempts": load["attempts"]}
            yield load


def seed(binary, uri, folder):
    server = pymongo.MongoClient(uri)
    for name in (DATABASE, f"{DATABASE}_archive"):
        server.drop_database(name)
    to = database_uri(uri)
    run(binary, "load", "--to", to, ROOT / "samples", codes=(2,))
    export = folder / "export"
    export.mkdir()
    observation = {"resourceType": "Observation", "id": "e1", "status": "final", "subject": {"reference": "Patient/pat-00"}}
    (export / "Observation_1.ndjson").write_text(json.dumps(observation))
    files = [("Observation", "Observation_1.ndjson", 1), ("Patient", "Patient_1.ndjson", 40), ("Condition", "Condition_1.ndjson", 9)]
    output = [{"type": kind, "url": f"https://fhir.example.org/{name}", "count": count} for kind, name, count in files]
    time = (NOW - datetime.timedelta(hours=7)).isoformat()
    manifest = {"transactionTime": time, "request": "https://fhir.example.org/$export", "requiresAccessToken": True}
    (export / "manifest.json").write_text(json.dumps(manifest | {"output": output, "error": []}))
    run(binary, "load", "--to", to, export)
    run(binary, "forget", "--to", to, "Patient/pat-01", "--reason", "request 7", "--yes")
    loads = list(entries())
    server[DATABASE]["_loads"].insert_many(loads)
    partial = [load["_id"] for load in loads if load["status"] == "partial"]
    rejects = [{"_id": f"{load}#1:0/truncated", "_load": load, "code": "truncated"} for load in partial[::4]]
    server[DATABASE]["_rejects"].insert_many(rejects)


def database_uri(uri):
    place, _, options = uri.partition("?")
    return f"{place.rstrip('/')}/{DATABASE}?{options}"


def browse(chromium, page, scheme, *more):
    with tempfile.TemporaryDirectory() as profile:
        scheme = f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"
        return run(chromium, *FLAGS, scheme, f"--user-data-dir={profile}", *more, page.as_uri())


def wrapped(text, width, scheme):
    """A page with the report in a frame of that width, and a script that measures it."""
    text = html.escape(POLICY.sub("", text))
    frame = f'<iframe style="display:block;border:0;width:{width}px;height:900px" srcdoc="{text}"></iframe>'
    head = '<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><style>body{margin:0}pre{display:none}</style>'
    return f'{head}<body data-scheme="{scheme}">{frame}<pre id="result"></pre><script>{MEASURE}</script></body>'


def look(chromium, text, name, folder):
    """Opens one page in every way, and returns the findings."""
    findings = [f"{name}: would fetch: {found}" for found in FETCHES.findall(text)]
    if not POLICY.search(text):
        findings.append(f"{name}: has no content security policy")
    printed = text.replace("@media print", "@media screen")
    ways = [(str(width), text, width, scheme) for width in WIDTHS for scheme in SCHEMES]
    for way, shown, width, scheme in ways + [("printed", printed, PRINTED_WIDTH, "light")]:
        page = folder / f"{name}-{way}-{scheme}.html"
        page.write_text(wrapped(shown, width, scheme))
        dom = browse(chromium, page, scheme, f"--window-size={max(width, 500)},900", "--dump-dom")
        result = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
        if not result or not result[1]:
            findings.append(f"{name}, {way}, {scheme}: was not measured")
            continue
        result = json.loads(html.unescape(result[1]))
        findings += [f"{name}, {way}, {scheme}: {finding}" for finding in result["findings"]]
        print(f"{name}, {way}, {scheme}: {result['figures']} plots with {result['marks']} marks, {result['texts']} texts")
        size = f"--window-size={max(width, 500)},{min(result['height'], 9_000)}"
        browse(chromium, page, scheme, size, f"--screenshot={page.with_suffix('.png')}")
    return findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        seed(arguments.binary, arguments.uri, pathlib.Path(temporary))
        findings = []
        last_month = (NOW.replace(day=1) - DAY).strftime("%Y-%m")
        for name, options in [("days", []), ("month", ["--month", last_month])]:
            page = folder / f"{name}.html"
            run(arguments.binary, "report", "--to", database_uri(arguments.uri), "--out", page, *options)
            findings += look(arguments.chromium, page.read_text(), name, folder)
        if not arguments.keep:
            for name in (DATABASE, f"{DATABASE}_archive"):
                pymongo.MongoClient(arguments.uri).drop_database(name)
    if findings:
        sys.exit("\n".join(["the report cannot be read as it should:", *findings]))


if __name__ == "__main__":
    main()
