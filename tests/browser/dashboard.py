"""Uses the dashboard as a person would, in a real browser: `dashboard.py SCENARIO URL FOLDER`.

Pictures of what it saw go into FOLDER. Anything that the page writes to the console, that it cannot load or
that it throws ends the scenario.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

AGENT = "/agents/sim-triage"
# The machine may be busy with other tests.
expect.set_options(timeout=60_000)


class Dashboard:
    """A browser on the dashboard of a server."""

    def __init__(self, browser: Browser, url: str, folder: Path):
        self.browser, self.url, self.folder = browser, url, folder
        self.problems: list[str] = []
        self.expected = ""

    def page(self, theme="light", width=1360, height=900, **options) -> Page:
        size = {"width": width, "height": height}
        context = self.browser.new_context(color_scheme=theme, viewport=size, locale="en-GB", timezone_id="UTC", **options)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", lambda said: self.noted(f"console: {said.text}"))
        page.on("pageerror", lambda thrown: self.noted(f"thrown: {thrown}"))
        # Nothing may come from anywhere else.
        page.on("request", lambda sent: sent.url.startswith((self.url, "data:")) or self.noted(f"asked {sent.url}"))
        return page

    def noted(self, problem: str):
        if not (self.expected and self.expected in problem):
            self.problems.append(problem)

    def open(self, path: str, **options) -> Page:
        page = self.page(**options)
        page.goto(self.url + path)
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator(".loading")).to_have_count(0)
        return page

    def picture(self, page: Page, name: str, whole=True):
        page.screenshot(path=self.folder / f"{name}.png", full_page=whole)

    def accessible(self, page: Page, name: str):
        """What axe-core finds is a problem; the page's own policy does not let it in, so it has none here."""
        found = Axe().run(page, options={"resultTypes": ["violations"]})
        violations = found.response["violations"]
        passes = len(found.response["passes"])
        print(f"axe-core {found.response['testEngine']['version']}, {name}: {len(violations)} violations, {passes} rules passed")
        for rule in violations:
            places = [place["target"] for place in rule["nodes"]]
            self.problems.append(f"{name}: {rule['id']}: {rule['help']}: {places[:5]}")


def wait(done, page: Page):
    """Until `done`, a minute at most. The page's policy forbids to wait inside of it."""
    for _ in range(1200):
        if done():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came about: " + page.locator("main").inner_text())


def orders(board: Dashboard):
    """A candidate is approved, taken back, and the next one rejected, each with confirmation."""
    page = board.open("/")
    row = page.get_by_role("row", name=re.compile("sim-triage"))
    expect(row).to_contain_text("v2 waits")
    page.get_by_role("button", name=re.compile("Candidate waits")).click()
    page.get_by_role("link", name="sim-triage").click()
    expect(page.get_by_role("heading", name="sim-triage", level=1)).to_be_visible()
    expect(page.locator("#changes")).to_contain_text("Why v2")
    expect(page.locator("#changes ins, #changes .text.ins").first).to_be_visible()
    board.picture(page, "candidate")

    # Saying no to the question changes nothing.
    timeline = page.locator("#versions")
    timeline.get_by_role("button", name="Approve v2").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("becomes the active version at once")
    board.picture(page, "dialog", whole=False)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    timeline.get_by_role("button", name="Approve v2").click()
    dialog.get_by_label("Your name").fill("grace")
    dialog.get_by_role("button", name="Approve v2").click()
    expect(page.locator("#notes")).to_contain_text("v2 approved: by grace")
    expect(page.locator(".title")).to_contain_text("v2 active")
    expect(page.locator("#decisions")).to_contain_text("approved")

    # By keyboard alone.
    back = page.locator(".title").get_by_role("button", name="Roll back to v1")
    back.focus()
    page.keyboard.press("Enter")
    dialog.get_by_label("Reason").fill("slower at night")
    expect(dialog.get_by_label("Your name")).to_have_value("grace")
    page.keyboard.press("Enter")
    expect(page.locator(".title")).to_contain_text("v1 active")
    expect(page.locator("#decisions")).to_contain_text("slower at night")

    page.get_by_role("button", name="Pause").click()
    dialog.get_by_role("button", name="Pause optimization").click()
    expect(page.locator(".title")).to_contain_text("optimization paused")
    page.get_by_role("button", name="Resume").click()
    dialog.get_by_role("button", name="Resume optimization").click()
    expect(page.locator(".title")).not_to_contain_text("optimization paused")

    # What came of an order is told, though it be that nothing was to be done.
    page.get_by_role("button", name="Optimize now").click()
    dialog.get_by_role("button", name="Optimize now").click()
    expect(page.locator("#notes")).to_contain_text(re.compile("no change|candidate|refused"))

    page.goto(board.url + "/agents/sim-repair")
    timeline.get_by_role("button", name="Reject v2").click()
    dialog.get_by_label("Reason").fill("says nothing new")
    dialog.get_by_role("button", name="Reject v2").click()
    expect(timeline).to_contain_text("says nothing new")
    expect(page.locator(".title")).to_contain_text("v1 active")

    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("main")).to_contain_text("says nothing new")
    board.picture(page, "activity")


def trial(board: Dashboard):
    """A trial closes in and is decided while somebody looks on; nothing is loaded anew."""
    page = board.open(AGENT, height=1500)
    section = page.locator("#trial")
    expect(section).to_contain_text("v2 on trial against v1")
    page.evaluate("window.sameDocument = true")
    fold = section.locator("details[data-key=course]")
    rows = section.locator("details tbody tr")
    arms = section.locator("table", has_text="The two arms")
    active = page.locator(".title .tag.good")
    seen: list[int] = []
    while active.inner_text() == "v1 active":
        shown = arms.inner_text()
        # Opened once, it stays open through all that is drawn anew.
        if not seen or seen[-1] == 0:
            fold.evaluate_all("folds => folds.forEach((fold) => { fold.open = true; })")
        else:
            expect(fold).to_have_attribute("open", "")
        seen.append(rows.count())
        # Whoever reads this makes more runs; then the page shows them by itself.
        print(f"points of the course: {seen[-1]}", flush=True)
        if len(seen) == 6:
            board.picture(page, "trial", whole=False)
        wait(lambda: active.inner_text() != "v1 active" or arms.inner_text() != shown, page)
    assert len(seen) > 6 and seen == sorted(seen) and seen[-1] > seen[0], seen
    expect(page.locator("#notes")).to_contain_text("v2 promoted")
    expect(page.locator(".title")).to_contain_text("v2 active")
    expect(page.locator("#versions li").first).to_contain_text("active")
    decision = page.locator("#decisions li", has_text="promoted")
    decision.locator("summary").click()
    expect(decision.locator("svg.course")).to_be_visible()
    expect(decision.locator("meter.reached")).to_have_count(1)
    assert page.evaluate("window.sameDocument")
    board.picture(page, "promoted")


def asked(board: Dashboard):
    """Who may read without a token is asked for it with the first order."""
    board.expected = "401"
    page = board.open(AGENT)
    page.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Pause optimization").click()
    dialog.get_by_label("Token").fill("let-me-in")
    page.keyboard.press("Enter")
    expect(page.locator(".title")).to_contain_text("optimization paused")
    page.get_by_role("button", name="Resume").click()
    dialog.get_by_role("button", name="Resume optimization").click()
    expect(page.locator(".title")).not_to_contain_text("optimization paused")


def token(board: Dashboard):
    """Where a token is wanted, nothing is shown without it."""
    board.expected = "401"
    page = board.page()
    page.goto(board.url + "/")
    expect(page.get_by_role("heading", name="wants a token")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("token wanted")
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not the server's")
    page.get_by_label("Token").fill("let-me-in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="sim-triage")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("live")
    page.goto(board.url + AGENT)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause optimization").click()
    expect(page.locator(".title")).to_contain_text("optimization paused")
    address = page.evaluate("location.href + document.cookie + JSON.stringify(localStorage)")
    assert "let-me-in" not in address, address


def hostile(board: Dashboard):
    """What agents wrote is text, whatever it looks like, and what is secret in it is hidden."""
    page = board.open(AGENT)
    runs = page.locator("#runs")
    expect(runs).to_contain_text("<img src=x onerror=")
    assert page.locator("#runs img").count() == 0
    for fold in runs.locator("summary").all():
        fold.click()
    expect(runs).to_contain_text("[redacted]")
    whole = page.content()
    assert "AKIA" not in whole and "onerror-ran" not in page.title()
    page.get_by_role("link", name="Dead letters").click()
    expect(page.get_by_role("main")).to_contain_text("malformed json")
    for fold in page.locator("main summary").all():
        fold.click()
    expect(page.get_by_role("main")).to_contain_text("<script>")
    assert "AKIA" not in page.content()
    board.picture(page, "dead-letters")


def looks(board: Dashboard, label: str):
    """Every page in both themes, and what axe-core finds in them."""
    pages = {"agents": "/", "agent": AGENT, "activity": "/activity", "dead-letters": "/dead-letters"}
    for theme in ["light", "dark"]:
        for name, path in pages.items():
            page = board.open(path, theme=theme, bypass_csp=True)
            board.picture(page, f"{name}-{label}-{theme}", whole=name != "agents")
            board.accessible(page, f"{name}, {label} agents, {theme}")
            page.context.close()
    page = board.open(AGENT, width=390, height=844)
    board.picture(page, f"agent-{label}-narrow")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"{wide} px on a telephone"


def many(board: Dashboard):
    """Thousands of agents: found, sorted and scrolled through, with few rows in the page at once."""
    page = board.page()
    sizes: list[tuple[str, int]] = []
    page.on("requestfinished", lambda sent: sizes.append((sent.url, sent.sizes()["responseBodySize"])))
    page.goto(board.url + "/")
    expect(page.get_by_role("row")).not_to_have_count(0)
    first = page.evaluate("performance.getEntriesByName('whetstone-agents')[0]?.startTime ?? null")
    total = int(page.locator("h1 + p").inner_text().split(" of ")[1].split(",")[0].replace(",", ""))
    wait(lambda: page.evaluate("performance.getEntriesByName('whetstone-all-agents').length"), page)
    marks = page.evaluate("performance.getEntriesByType('mark').map((mark) => [mark.name, mark.startTime])")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    own = sum(size for url, size in sizes if "/api/" not in url)
    data = [size for url, size in sizes if "/api/agents" in url]
    elements = page.evaluate("document.querySelectorAll('*').length")
    print(json.dumps({
        "first contentful paint, ms": round(paint),
        "interactive with the first agents, ms": round(dict(marks)["whetstone-agents"]),
        "all agents, ms": round(dict(marks)["whetstone-all-agents"]),
        "page, bytes": own,
        "first agents, bytes": data[0],
        "all agents, bytes": sum(data),
        "elements in the page": elements,
        "first mark seen": first is not None,
    }), flush=True)
    assert elements < 6000, elements

    table = page.get_by_role("table")
    shown = page.get_by_text(re.compile(r"of [\d,]+$"))
    expect(shown).to_have_text(re.compile(r"^3,005 of 3,005$"))
    assert table.get_attribute("aria-rowcount") == "3006"
    page.keyboard.press("/")
    page.keyboard.type("fleet-29")
    expect(shown).to_have_text(re.compile(r"^100 of 3,005$"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="fleet-2900")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="fleet-2901")).to_be_visible()
    page.go_back()
    expect(shown).to_have_text(re.compile(r"^100 of 3,005$"))
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Reward").click()
    expect(page.get_by_role("columnheader", name="Reward")).to_have_attribute("aria-sort", "ascending")
    page.mouse.move(600, 500)
    for _ in range(40):
        page.mouse.wheel(0, 5000)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("tr[aria-rowindex='3006']")).to_be_visible()
    assert page.get_by_role("row").count() < 80
    board.picture(page, "agents-3000-end", whole=False)


def main():
    scenario, url, folder = sys.argv[1:4]
    Path(folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        # Root may run a browser only without its sandbox.
        browser = playwright.chromium.launch(executable_path=shutil.which(sys.argv[4]), args=["--no-sandbox"])
        board = Dashboard(browser, url, Path(folder))
        run, *arguments = scenario.split("-")
        try:
            globals()[run](board, *arguments)
        finally:
            print(*board.problems, sep="\n", flush=True)
        browser.close()
    sys.exit(bool(board.problems))


if __name__ == "__main__":
    main()
