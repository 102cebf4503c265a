#include "router_service/learning/domains/domain_smoothing_fit.h"

#include <cmath>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

constexpr size_t kLabels = 6;

// A distribution that puts `sure` on `label` and spreads the rest over the labels given.
std::vector<float> Says(size_t label, double sure, const std::vector<size_t>& rest) {
  std::vector<float> p(kLabels, 0);
  for (const size_t other : rest) {
    p[other] += static_cast<float>((1 - sure) / static_cast<double>(rest.size()));
  }
  p[label] += static_cast<float>(sure);
  return p;
}

// Labels 0 to 2 are in domain. The in-domain expert knows no others: outside, it is wrong and a
// little less sure. The general one knows all, but prefers its own three; each is right within its
// labels on nine of ten.
std::vector<DomainRow> Planted(size_t count, uint64_t seed) {
  CounterRandom random(seed, 1);
  std::vector<DomainRow> rows;
  for (size_t i = 0; i < count; ++i) {
    DomainRow row;
    row.label = random.Below(kLabels);
    const bool in = row.label < 3;
    const bool right = random.Uniform() < 0.9;
    const size_t own = in ? (right ? row.label : (row.label + 1) % 3) : random.Below(3);
    const size_t other = in ? 3 + random.Below(3) : (right ? row.label : 3 + (row.label - 2) % 3);
    row.in_domain = Says(own, (in ? 0.85 : 0.5) + 0.1 * random.Uniform(), {0, 1, 2});
    row.general = Says(other, (in ? 0.4 : 0.75) + 0.2 * random.Uniform(), {0, 1, 2, 3, 4, 5});
    rows.push_back(std::move(row));
  }
  return rows;
}

LabelGroups Groups() { return *LabelGroups::Create({0, 1, 2}); }

TEST(DomainSmoothingFit, BeatsEitherExpertOnBothDomainsTogether) {
  const auto fit = FitDomainSmoothing(Planted(600, 3), Groups());
  ASSERT_THAT(fit.status(), IsOk());
  EXPECT_EQ(fit->fitted_rows + fit->heldout_rows, 600u);
  EXPECT_GT(fit->smoothed.HarmonicMean(), 0.8);
  EXPECT_GT(fit->smoothed.HarmonicMean(), fit->general_alone.HarmonicMean() + 0.2);
  EXPECT_GT(fit->smoothed.HarmonicMean(), fit->in_domain_alone.HarmonicMean() + 0.2);
  EXPECT_GT(fit->area, 0.7);
  EXPECT_LE(fit->area, 1);
}

TEST(DomainSmoothingFit, TheScoreIsHigherInDomain) {
  const std::vector<DomainRow> rows = Planted(400, 5), fresh = Planted(200, 6);
  const auto fit = FitDomainSmoothing(rows, Groups());
  ASSERT_THAT(fit.status(), IsOk());
  double in = 0, out = 0, ins = 0, outs = 0;
  for (const DomainRow& row : fresh) {
    const double p =
        fit->gate.OutOfDomain(fit->gate.Score(Groups().Features(row.general, row.in_domain)));
    (row.label < 3 ? in : out) += p;
    (row.label < 3 ? ins : outs) += 1;
  }
  EXPECT_LT(in / ins, 0.2);
  EXPECT_GT(out / outs, 0.8);
}

TEST(DomainSmoothingFit, TheSameRowsGiveTheSameGate) {
  const auto one = FitDomainSmoothing(Planted(200, 7), Groups());
  const auto two = FitDomainSmoothing(Planted(200, 7), Groups());
  EXPECT_EQ(one->gate.weight, two->gate.weight);
  EXPECT_EQ(one->gate.threshold, two->gate.threshold);
}

TEST(DomainSmoothingFit, SaysWhatIsWrongWithARow) {
  std::vector<DomainRow> rows = Planted(20, 1);
  rows[7].general[0] += 0.5f;
  EXPECT_THAT(std::string(FitDomainSmoothing(rows, Groups()).status().message()),
              HasSubstr("row 7: general: wanted probabilities that sum to 1"));
  rows = Planted(20, 1);
  rows[3].in_domain.pop_back();
  EXPECT_THAT(std::string(FitDomainSmoothing(rows, Groups()).status().message()),
              HasSubstr("row 3: in_domain: 5 labels, wanted 6"));
  rows = Planted(20, 1);
  for (DomainRow& row : rows) row.label = 0;
  EXPECT_THAT(std::string(FitDomainSmoothing(rows, Groups()).status().message()),
              HasSubstr("wanted at least 2 rows of either kind, got 20 in domain and 0 outside"));
}

TEST(DomainSmoothingFit, ReadsATable) {
  TempDir dir;
  const std::string path =
      dir.Write("rows.jsonl",
                "{\"general\": [0.25, 0.75], \"in_domain\": [1, 0], \"label\": 1}\n\n"
                "{\"general\": [0.5, 0.5], \"in_domain\": [0.5, 0.5], \"label\": 0}\n");
  const auto rows = ReadDomainRows(path);
  ASSERT_THAT(rows.status(), IsOk());
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_THAT((*rows)[0].general, ::testing::ElementsAre(0.25f, 0.75f));
  EXPECT_EQ((*rows)[0].label, 1u);
  const std::string bad =
      dir.Write("bad.jsonl", "{\"general\": [1], \"in_domain\": [1], \"label\": -1}\n");
  EXPECT_THAT(std::string(ReadDomainRows(bad).status().message()), HasSubstr("bad.jsonl:1: label"));
}

}  // namespace
}  // namespace penstock::router
