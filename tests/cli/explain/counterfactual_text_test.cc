#include "cli/explain/counterfactual_text.h"

#include "gtest/gtest.h"

namespace penstock::cli {
namespace {

v1::Counterfactual Of(v1::Counterfactual::Limit limit, double bound, double change,
                      bool exclusive) {
  v1::Counterfactual out;
  out.set_limit(limit);
  out.set_bound(bound);
  out.set_change(change);
  out.set_exclusive(exclusive);
  out.add_experts("big");
  out.set_quality_gained(exclusive ? -0.05 : 0.08);
  out.set_energy_j(4.2);
  out.set_latency_ms(12);
  return out;
}

TEST(CounterfactualTextTest, MoreOfALimitIsToldByTheChange) {
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::ENERGY_BUDGET, 5, 2, false)),
            "with 2 J more for the request: big (quality +0.08, 4.2 J, 12 ms)");
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::TIME_LEFT, 13, 3, false)),
            "with 3 ms more: big (quality +0.08, 4.2 J, 12 ms)");
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::HEADROOM, 9, 0.5, false)),
            "with 0.5 J more left of the budgets: big (quality +0.08, 4.2 J, 12 ms)");
}

TEST(CounterfactualTextTest, LessOfALimitIsToldByTheBound) {
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::ENERGY_BUDGET, 3, 0, true)),
            "with less than 3 J for the request: big (quality -0.05, 4.2 J, 12 ms)");
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::TIME_LEFT, 7, -3, true)),
            "with less than 7 ms left: big (quality -0.05, 4.2 J, 12 ms)");
}

TEST(CounterfactualTextTest, OfALimitThatIsNotSetOnlyTheBoundIsKnown) {
  v1::Counterfactual unset = Of(v1::Counterfactual::HEADROOM, 3, 0, true);
  unset.clear_change();
  EXPECT_EQ(CounterfactualText(unset),
            "with less than 3 J left of the budgets: big (quality -0.05, 4.2 J, 12 ms)");
}

TEST(CounterfactualTextTest, PricesAndPromisesOfQualityHaveTheirOwnWords) {
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::PRICE_PER_JOULE, 0.1, 0.02, false)),
            "at a price of 0.1 or more a J: big (quality +0.08, 4.2 J, 12 ms)");
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::PRICE_PER_JOULE, 0.1, -0.02, false)),
            "at a price of 0.1 or less a J: big (quality +0.08, 4.2 J, 12 ms)");
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::MIN_QUALITY, 0.7, 0, true)),
            "with a least quality above 0.7: big (quality -0.05, 4.2 J, 12 ms)");
  EXPECT_EQ(CounterfactualText(Of(v1::Counterfactual::MIN_QUALITY, 0.7, -0.2, false)),
            "with a least quality of 0.7 or less: big (quality +0.08, 4.2 J, 12 ms)");
}

TEST(CounterfactualTextTest, NobodyIsToldWithTheStatus) {
  v1::Counterfactual nobody = Of(v1::Counterfactual::MIN_QUALITY, 0.95, 0.1, true);
  nobody.clear_experts();
  nobody.set_status("FAILED_PRECONDITION");
  EXPECT_EQ(CounterfactualText(nobody),
            "with a least quality above 0.95: nobody, FAILED_PRECONDITION");
}

}  // namespace
}  // namespace penstock::cli
