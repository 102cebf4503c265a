"""page_test.py BIN_FOLDER: the live page in a browser, over a real platform under traffic."""

import argparse
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from browser import Browser, chromium  # noqa: E402
from fleet import Fleet, write_tiny_model  # noqa: E402
from page_platform import ADMIN, HOSTILE_POOL, HOSTILE_TENANT, NEW, USER, PagePlatform  # noqa: E402

STATE = "document.getElementById('state').dataset.state"
# What a screen shows of a table: [[text of each cell]].
ROWS = ("[...document.querySelectorAll('#{} tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.innerText.trim()))")
LISTED = "document.querySelectorAll('#decisions > li').length"
CONTROLS = ("[...document.querySelectorAll('a[href], button, input, select, [tabindex=\"0\"]')]"
            ".filter(each => each.offsetParent !== null).length")
WIDTH = ("document.documentElement.scrollWidth <= innerWidth && "
         "document.body.scrollWidth <= innerWidth")
# Contrast of each text with what is behind it, by WCAG's formula; those below 4.5.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (c) => c <= 10.3 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const bad = [];
  let checked = 0;
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim() !== '');
    if (!own || node.offsetParent === null) continue;
    const text = luminance(rgba(getComputedStyle(node).color));
    const [light, dark] = [text, luminance(ground(node))].sort((a, b) => b - a);
    ++checked;
    if ((light + 0.05) / (dark + 0.05) >= 4.5) continue;
    bad.push(`${node.tagName} ${node.className} ${node.textContent.slice(0, 40)}`);
  }
  return {checked, bad};
})()"""


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet(OPTIONS.bin)
        cls.platform = PagePlatform(cls.fleet)
        cls.browser = Browser(BROWSER)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.fleet.close()

    def setUp(self):
        self.broken = False
        self.browser.complaints.clear()
        self.browser.requests.clear()
        self.browser.size(1440, 900)
        self.browser.colours("light")
        self.browser.open(self.platform.url)
        self.browser.run("sessionStorage.clear(), localStorage.clear()")

    def tearDown(self):
        # Whatever a test did: nothing was asked of another host.
        strangers = {url for url in self.browser.requests
                     if not url.startswith((self.platform.url, "data:", "about:"))}
        self.assertEqual(strangers, set())
        # A browser writes down each refusal and each broken connection: the page is opened without a key
        # first, and one test breaks everything.
        expected = "Failed to load resource" + (".*" if self.broken else ".* 401 ")
        self.assertEqual([each for each in self.browser.complaints if not re.match(expected, each)], [])

    def enter(self, key=ADMIN):
        """The page with a key, showing something."""
        self.browser.run(f"sessionStorage.setItem('penstock-key', {key!r})")
        self.browser.open(self.platform.url)
        self.browser.wait(f"{STATE} === 'live'", "live")
        self.browser.wait("document.querySelectorAll('#experts tbody tr').length > 0", "experts")
        self.browser.wait("performance.getEntriesByType('resource')"
                          ".some(each => each.name.includes('api/decisions'))", "a watch")

    def rows(self, table):
        return self.browser.run(ROWS.format(table))

    def test_it_shows_what_the_api_says(self):
        self.enter()
        self.platform.load("pool", 30)
        told = {pool["name"]: pool for pool in self.platform.api("pools")["pools"]}
        wanted = f"{int(told['pool']['requests']):,}"
        self.browser.wait(
            f"{ROWS.format('pools')}.some(row => row[0].startsWith('pool') && row[2] === {wanted!r})",
            f"{wanted} requests of the pool")
        shown = {row[0].split("\n")[0].removesuffix("not ready").removesuffix("ready").strip(): row
                 for row in self.rows("pools")}
        self.assertEqual(set(shown), set(told))
        for name, pool in told.items():
            self.assertEqual(shown[name][2].replace(",", ""), pool["requests"], name)
            self.assertEqual(shown[name][3].replace(",", ""), pool["failures"], name)
            self.assertIn("ready" if pool["ready"] else "not ready", shown[name][0])
        experts = {(each["pool"], each["name"]): each for each in self.platform.api("experts")["experts"]}
        rows = self.browser.run(
            "[...document.querySelectorAll('#experts tbody tr')].map(({cells}) => "
            "[cells[0].children[1], cells[0].children[0], cells[2], cells[3]].map(each => each.textContent))")
        self.assertEqual({(pool, name) for pool, name, _, _ in rows}, set(experts))
        for pool, name, requests, health in rows:
            self.assertEqual(requests.replace(",", ""), experts[pool, name]["requests"])
            self.assertEqual(health, "1/1 healthy")
        budget = self.browser.run("document.getElementById('budgets').innerText")
        self.assertIn("1.00 kJ an hour", budget)
        self.assertIn("pool · everybody", budget)

    def test_decisions_appear_pause_and_open(self):
        self.enter()
        before = self.browser.run(LISTED)  # of other tests, as whoever comes late sees them
        self.platform.load("pool", 20)
        self.browser.wait(f"{LISTED} === {before + 20}", "twenty more")
        tenant = self.browser.run("document.querySelector('#decisions .tenant').textContent")
        self.assertEqual(tenant, HOSTILE_TENANT)
        self.browser.run("document.getElementById('pause').focus()")
        self.browser.press("Enter")
        self.platform.load("pool", 5)
        self.browser.wait("document.getElementById('pause').textContent === 'Go on (5 new)'", "five")
        self.assertEqual(self.browser.run(LISTED), before + 20)
        self.browser.press("Enter")
        self.assertEqual(self.browser.run(LISTED), before + 25)
        self.browser.run("document.querySelector('#decisions button').focus()")
        self.browser.press("Enter")
        told = {each["id"]: each for each in self.platform.api("decisions")["decisions"]}
        identity = self.browser.run("document.querySelector('#decisions > li').dataset.id")
        details = self.browser.run("document.querySelector('#decisions .details').innerText")
        for candidate in told[identity]["candidates"]:
            self.assertIn(candidate["expert"], details)
        self.assertIn(told[identity]["reason"],
                      self.browser.run("document.querySelector('#decisions .reason').textContent"))
        self.browser.press(" ")
        self.assertFalse(self.browser.run("document.querySelector('#decisions .details') !== null"))

    def test_names_are_text(self):
        self.enter()
        self.platform.load(HOSTILE_POOL, 3)
        self.browser.wait(f"{LISTED} > 0", "a decision")
        text = self.browser.run("document.getElementById('pools').innerText")
        self.assertIn(HOSTILE_POOL, text)
        self.assertIn(HOSTILE_TENANT, self.browser.run("document.getElementById('who').textContent"))
        self.assertEqual(self.browser.run("document.title"), "Penstock")
        self.assertEqual(self.browser.run(
            "document.querySelectorAll('main img, main script, main svg[onload]').length"), 0)

    def test_a_platform_without_pools_says_so(self):
        self.browser.run(f"sessionStorage.setItem('penstock-key', {NEW!r})")
        self.browser.open(self.platform.url)
        self.browser.wait("document.getElementById('pools').innerText.includes('No pools yet')", "no pools")
        self.browser.wait("document.getElementById('experts').innerText.includes('No experts yet')", "experts")
        self.assertFalse(self.browser.run("document.getElementById('budgets-note').hidden"))

    def test_it_asks_for_a_key_and_forgets_it(self):
        self.browser.wait("!document.getElementById('key-form').hidden", "the form")
        self.assertEqual(self.browser.run(STATE), "locked")
        for key, seen in (("wrong", "document.getElementById('key-problem').textContent !== ''"),
                          (USER, f"{STATE} === 'live'")):
            self.browser.run("document.getElementById('key').focus()")
            self.browser.type(key)
            self.browser.press("Enter")
            self.browser.wait(seen, f"an answer to {key}")
        self.browser.wait("document.querySelectorAll('#pools tbody tr').length === 1", "the user's pool")
        self.browser.wait("document.getElementById('decisions-note').textContent.includes('admin right')",
                          "why there are no decisions")
        self.assertNotIn(USER, self.browser.run("document.documentElement.outerHTML"))
        self.browser.run("document.getElementById('forget-key').click()")
        self.browser.wait("document.getElementById('key-form')?.hidden === false", "the form again")
        self.assertIsNone(self.browser.run("sessionStorage.getItem('penstock-key')"))

    def test_the_keyboard_reaches_everything(self):
        self.enter()
        self.platform.load("pool", 4)
        self.browser.wait(f"{LISTED} > 0", "decisions")
        self.browser.run("document.getElementById('pause').click()")  # no more come while they are counted
        self.browser.press("Tab")
        self.assertEqual(self.browser.run("document.activeElement.className"), "skip")
        reached = 1
        wanted = self.browser.run(CONTROLS)
        self.assertGreater(wanted, 6)
        for _ in range(wanted - 1):
            self.browser.press("Tab")
            self.assertTrue(self.browser.run("document.activeElement !== document.body"),
                            f"after {reached} of {wanted}")
            # What has the focus is seen to have it, and says what it is.
            self.assertNotEqual(
                self.browser.run("getComputedStyle(document.activeElement).outlineStyle"), "none")
            self.assertTrue(self.browser.run(
                "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText) !== '' "
                "|| document.activeElement.labels?.length > 0"))
            reached += 1
        self.browser.press("Tab")
        self.assertFalse(self.browser.run("document.activeElement.matches('main *')"), "more than counted")

    def test_a_phone_scrolls_one_way_only(self):
        self.enter()
        self.platform.load("pool", 4)
        self.browser.wait(f"{LISTED} > 0", "decisions")
        self.browser.run("document.querySelector('#decisions button').click()")
        for width, height in ((390, 844), (360, 740), (768, 1024), (1024, 768)):
            self.browser.size(width, height, phone=width < 700)
            self.assertTrue(self.browser.run(WIDTH), width)

    def test_light_and_dark_can_be_read(self):
        self.enter()
        self.platform.load("pool", 4)
        self.browser.wait(f"{LISTED} > 0", "decisions")
        self.browser.run("document.querySelector('#decisions button').click()")
        grounds = []
        for scheme in ("light", "dark"):
            self.browser.colours(scheme)
            contrast = self.browser.run(CONTRAST)
            self.assertGreater(contrast["checked"], 50)
            self.assertEqual(contrast["bad"], [], scheme)
            grounds.append(self.browser.run("getComputedStyle(document.body).backgroundColor"))
        self.assertNotEqual(*grounds)
        # By hand, whatever the system says; and it stays.
        self.browser.colours("light")
        for _ in range(2):
            self.browser.run("document.getElementById('theme').click()")
        self.assertEqual(self.browser.run("getComputedStyle(document.body).backgroundColor"), grounds[1])
        self.browser.open(self.platform.url)
        self.browser.wait("document.documentElement.dataset.theme === 'dark'", "the chosen colours")

    def test_stale_is_said_and_ends(self):
        self.enter()
        self.broken = True
        for router in self.platform.routers:
            router.kill()
        self.browser.wait(f"{STATE} === 'stale'", "stale")
        self.browser.wait(
            "document.getElementById('banner-text').textContent.includes('no router is healthy')", "why")
        self.assertGreater(len(self.rows("pools")), 0)  # what was known stays in sight
        for router in self.platform.routers:
            router.restart()
        self.browser.wait(f"{STATE} === 'live'", "live again", 60)
        self.assertTrue(self.browser.run("document.getElementById('banner').hidden"))
        self.platform.load("pool", 3)
        self.browser.wait(f"{LISTED} > 0", "new decisions", 60)
        # The gateway itself.
        self.platform.gateway.kill()
        self.browser.wait(
            "document.getElementById('banner-text').textContent.includes('cannot be reached')", "gone")
        self.platform.gateway.config["page"]["http"] = self.platform.gateway.page
        self.platform.gateway.restart()
        self.browser.run("document.getElementById('retry').click()")
        self.browser.wait(f"{STATE} === 'live'", "live again", 60)


class ManyExpertsTest(unittest.TestCase):
    def test_a_thousand_experts_are_found_by_name_and_drawn_in_part(self):
        with Fleet(OPTIONS.bin) as fleet, Browser(BROWSER) as browser:
            write_tiny_model(fleet.folder / "models", "tiny")
            expert = fleet.expert({"model_repository": str(fleet.folder / "models"), "trust_plaintext": True})
            router = fleet.router({"trust_plaintext": True, "pools": [
                {"name": f"pool{pool}", "experts": [
                    {"name": f"expert{pool}{number:02}", "model": "tiny",
                     "replicas": [{"address": expert.grpc}]} for number in range(100)]}
                for pool in range(10)]})
            gateway = fleet.gateway({"page": {"http": "127.0.0.1:0"}, "routers": [{"address": router.grpc}]})
            browser.size(1440, 900)
            browser.open(f"http://{gateway.page}/")
            drawn = "document.querySelectorAll('#experts tbody tr').length"
            told = "document.getElementById('experts-count').textContent"
            browser.wait(f"{told} === '20 of 1000'", "a part of the experts")
            self.assertEqual(browser.run(drawn), 20)
            browser.run("document.getElementById('experts-more').click()")
            self.assertEqual(browser.run(drawn), 120)
            browser.run("document.getElementById('experts-filter').focus()")
            browser.type("pool7 expert742")
            self.assertEqual(browser.run(drawn), 1)
            self.assertEqual(browser.run("document.querySelector('#experts .name').textContent"), "expert742")
            self.assertEqual(browser.run(told), "1 of 1000")
            self.assertEqual(browser.complaints, [])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin")
    OPTIONS, rest = parser.parse_known_args()
    BROWSER = chromium()
    if BROWSER is None:
        print("skipped: no chromium is installed (apt-get install --no-install-recommends chromium)")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *rest])
