"""Whatever a scrape and docs/metrics.md do not have in common is found."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from catalogue import differences, read_catalogue  # noqa: E402
from fleet.metrics import Samples  # noqa: E402

PAGE = """| metric | type | unit | labels | from | meaning |
|---|---|---|---|---|---|
| `penstock_gateway_sheds_total` | counter | count | `pool`, `reason` | first | Refused \\| shed. |
| `penstock_gateway_wait_seconds` | histogram | s |  | start | Waits. |

| label | of | values |
|---|---|---|
| `reason` | `penstock_gateway_sheds_total` | `quota`, `no time` |

| label | of | values | at most |
|---|---|---|---|
| `pool` | gateway | a pool | 100 |
"""
SCRAPE = """# HELP penstock_gateway_sheds_total Refused | shed.
# TYPE penstock_gateway_sheds_total counter
penstock_gateway_sheds_total{pool="p",reason="no time"} 1
# HELP penstock_gateway_wait_seconds Waits.
# TYPE penstock_gateway_wait_seconds histogram
penstock_gateway_wait_seconds_count 1
penstock_gateway_wait_seconds_sum 2
penstock_gateway_wait_seconds_bucket{le="+Inf"} 1
"""


class DifferencesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = pathlib.Path(folder.name, "metrics.md")
        self.page.write_text(PAGE, encoding="utf-8")

    def found(self, was="", becomes="", service="gateway"):
        if was:
            self.assertIn(was, SCRAPE)
        samples = Samples(SCRAPE.replace(was, becomes))
        return differences(service, samples, read_catalogue(self.page))

    def test_what_is_equal_has_none(self):
        self.assertEqual(self.found(), [])

    def test_a_family_that_the_page_lacks(self):
        self.assertEqual(self.found("gateway_wait_seconds", "gateway_delay_seconds"),
                         ["gateway: penstock_gateway_delay_seconds (histogram: Waits.) is not in "
                          "docs/metrics.md"])

    def test_another_type(self):
        self.assertIn("is a gauge, 'Refused | shed.'; docs/metrics.md says counter",
                      self.found("sheds_total counter", "sheds_total gauge")[0])

    def test_another_help(self):
        self.assertIn("is a histogram, 'Delays.'", self.found("Waits.", "Delays.")[0])

    def test_a_label_more_and_a_label_less(self):
        self.assertIn("has the labels ['pool', 'reason', 'tenant']",
                      self.found('{pool="p",', '{tenant="t",pool="p",')[0])
        self.assertIn("has the labels ['reason']", self.found('pool="p",', "")[0])
        self.assertIn("has the labels ['pool']", self.found("wait_seconds_count 1",
                                                            'wait_seconds_count{pool="p"} 1')[0])

    def test_a_value_outside_its_closed_set(self):
        self.assertEqual(self.found("no time", "no luck"),
                         ["gateway: penstock_gateway_sheds_total: reason is no luck, none of "
                          "['no time', 'quota']"])

    def test_a_family_of_another_service(self):
        self.assertIn("router: penstock_gateway_sheds_total is of another service",
                      self.found(service="router"))

    def test_a_label_without_values_or_bound(self):
        page = PAGE.replace("| `pool` | gateway | a pool | 100 |\n", "")
        self.page.write_text(page, encoding="utf-8")
        with self.assertRaisesRegex(ValueError, "pool of penstock_gateway_sheds_total has neither"):
            read_catalogue(self.page)


if __name__ == "__main__":
    unittest.main()
