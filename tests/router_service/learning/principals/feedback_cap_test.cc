#include "router_service/learning/principals/feedback_cap.h"

#include <map>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

struct Rows {
  std::vector<std::string> principals, ids;
  void Add(const std::string& principal, int count) {
    for (int i = 0; i < count; ++i) {
      ids.push_back(absl::StrCat("id-", ids.size()));
      principals.push_back(principal);
    }
  }
};

std::map<std::string, size_t> Kept(const Rows& rows, const FeedbackCap& cap) {
  std::map<std::string, size_t> kept;
  for (size_t i = 0; i < cap.keep.size(); ++i) kept[rows.principals[i]] += cap.keep[i];
  return kept;
}

TEST(FeedbackCap, NobodyHasMoreThanTheShareAndNoRowIsLostInVain) {
  CounterRandom random(1, 1);
  size_t capped = 0;
  for (int round = 0; round < 200; ++round) {
    Rows rows;
    const int principals = 4 + static_cast<int>(random.Below(8));
    for (int p = 0; p < principals; ++p) {
      rows.Add(absl::StrCat("p", p), 1 + static_cast<int>(random.Below(p == 0 ? 500 : 40)));
    }
    const double share = 0.25 + 0.25 * random.Uniform();
    const FeedbackCap cap = CapFeedback(rows.principals, rows.ids, share);
    const size_t total = std::accumulate(cap.keep.begin(), cap.keep.end(), size_t{0});
    size_t largest = 0, with_one_more = 0;
    for (const auto& [principal, kept] : Kept(rows, cap)) largest = std::max(largest, kept);
    EXPECT_LE(static_cast<double>(largest), share * static_cast<double>(total));
    if (cap.most_rows == 0) continue;
    ++capped;
    EXPECT_EQ(largest, cap.most_rows);
    // One row more of everybody who has it would be too much.
    std::map<std::string, size_t> had;
    for (const std::string& principal : rows.principals) ++had[principal];
    for (const auto& [principal, count] : had) {
      with_one_more += std::min(count, cap.most_rows + 1);
    }
    EXPECT_GT(static_cast<double>(cap.most_rows + 1), share * static_cast<double>(with_one_more));
  }
  EXPECT_GT(capped, 50u);
}

TEST(FeedbackCap, TooFewPrincipalsToKeepToAShareAreLeftAlone) {
  Rows rows;
  rows.Add("a", 100);
  rows.Add("b", 3);
  const FeedbackCap cap = CapFeedback(rows.principals, rows.ids, 0.3);
  EXPECT_EQ(cap.most_rows, 0u);
  EXPECT_EQ(Kept(rows, cap)["a"], 100u);
}

TEST(FeedbackCap, WhichRowsStayIsNotTheOrdersMatter) {
  Rows rows;
  rows.Add("a", 100);
  for (int p = 0; p < 5; ++p) rows.Add(absl::StrCat("b", p), 4);
  const FeedbackCap cap = CapFeedback(rows.principals, rows.ids, 0.2);
  EXPECT_EQ(Kept(rows, cap)["a"], cap.most_rows);
  const Rows reversed = {{rows.principals.rbegin(), rows.principals.rend()},
                         {rows.ids.rbegin(), rows.ids.rend()}};
  const FeedbackCap again = CapFeedback(reversed.principals, reversed.ids, 0.2);
  EXPECT_EQ(std::vector<uint8_t>(again.keep.rbegin(), again.keep.rend()), cap.keep);
}

}  // namespace
}  // namespace penstock::router
