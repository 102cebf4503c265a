"""That growth is seen where there is some, and nowhere else."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from growth import Sample, fit, growth, make_row  # noqa: E402


def sample(at, resident=100, descriptors=10, threads=5, series=7):
    return Sample(at=at, resident=resident, anonymous=resident, descriptors=descriptors,
                  threads={"grpc": 2, "router": threads - 2}, series=series)


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
        self.assertIn("7 to 8", problems([sample(at, series=8 if at > 7 else 7)
                                          for at in range(10)])[0])


if __name__ == "__main__":
    unittest.main()
