"""That growth is seen where there is some, and nowhere else."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet.metrics import Samples  # noqa: E402
from growth import Sample, fit, growth, make_row  # noqa: E402


def sample(at, resident=100, descriptors=10, threads=5, series=("a", "b")):
    return Sample(at=at, resident=resident, anonymous=resident, descriptors=descriptors,
                  threads={"grpc": 2, "router": threads - 2}, series=dict.fromkeys(series, 1))


def problems(samples, first=None, last=None):
    row = make_row("router", samples, first or sample(0), last or sample(9))
    return row.problems(most_growth=0.03, most_series=0.05)


class GrowthTest(unittest.TestCase):
    def test_the_line_of_least_squares(self):
        first, last = fit([(0, 1.0), (1, 3.0), (2, 2.0), (3, 4.0)])
        self.assertAlmostEqual(first, 1.3)
        self.assertAlmostEqual(last, 3.7)

    def test_noise_is_no_growth(self):
        self.assertAlmostEqual(growth([(at, 100 + (-1) ** at) for at in range(1001)]), 0, places=4)

    def test_what_keeps_its_size_has_no_problems(self):
        self.assertEqual(problems([sample(at) for at in range(10)]), [])

    def test_memory_that_rises_slowly_is_a_problem(self):
        found = problems([sample(at, resident=1000 + 4 * at) for at in range(10)])
        self.assertEqual(len(found), 1)
        self.assertIn("3.6 %", found[0])
        self.assertEqual(problems([sample(at, resident=1000 + 3 * at) for at in range(10)]), [])

    def test_one_descriptor_or_thread_is_a_problem(self):
        flat = [sample(at) for at in range(10)]
        self.assertIn("file descriptors went from 10 to 11",
                      problems(flat, last=sample(9, descriptors=11))[0])
        self.assertIn("threads went from 5 to 6 without clients (+1 router)",
                      problems(flat, last=sample(9, threads=6))[0])

    def test_more_series_are_a_problem(self):
        self.assertIn("2 to 3: c", problems([sample(at, series=("b", "c") if at > 7 else ("a", "b"))
                                             for at in range(10)])[0])

    def test_series_that_come_and_go_count_once(self):
        self.assertEqual(problems([sample(at, series=("a", "b") if at % 2 else ("a",))
                                   for at in range(10)]), [])

    def test_a_histogram_counts_with_all_its_series(self):
        before, after = sample(0), sample(0)
        before.series, after.series = {"a": 100}, {"a": 100, "h": 6}
        self.assertIn("100 to 106: h", problems([before] * 5 + [after] * 5)[0])
        after.series["h"] = 5
        self.assertEqual(problems([before] * 5 + [after] * 5), [])

    def test_series_are_told_by_family_and_labels(self):
        scraped = Samples('# TYPE t histogram\n'
                          't_bucket{pool="a",le="1"} 1\nt_bucket{pool="a",le="+Inf"} 2\n'
                          't_sum{pool="a"} 3\nt_count{pool="a"} 2\nt_bucket{pool="b",le="1"} 0\n'
                          '# TYPE le_count counter\nle_count{le="1"} 1\n')
        self.assertEqual(scraped.children(),
                         {'t{pool="a"}': 4, 't{pool="b"}': 1, 'le_count{le="1"}': 1})


if __name__ == "__main__":
    unittest.main()
