#include "router_service/baselines/hashed_tfidf.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

SparseRows Rows(const std::vector<std::string>& texts) {
  std::vector<const std::string*> pointers;
  for (const std::string& text : texts) pointers.push_back(&text);
  return HashedTfidf(pointers, 1u << 20).Transform(pointers);
}

double Dot(const SparseRows& x, size_t a, size_t b) {
  double dot = 0;
  for (size_t i = 0; i < x.Columns(a).size(); ++i) {
    for (size_t k = 0; k < x.Columns(b).size(); ++k) {
      if (x.Columns(a)[i] == x.Columns(b)[k]) dot += double{x.Values(a)[i]} * x.Values(b)[k];
    }
  }
  return dot;
}

TEST(HashedTfidfTest, RowsHaveLengthOneAndAnEmptyTextIsEmpty) {
  const SparseRows x = Rows({"one two two", ""});
  EXPECT_NEAR(Dot(x, 0, 0), 1, 1e-6);
  EXPECT_TRUE(x.Columns(1).empty());
}

TEST(HashedTfidfTest, CountsWordsAndPairsOfWords) {
  EXPECT_EQ(Rows({"a b c"}).Columns(0).size(), 5u);
}

TEST(HashedTfidfTest, LookPastCase) {
  const SparseRows x = Rows({"What IS it", "what is IT", "other words here"});
  EXPECT_NEAR(Dot(x, 0, 1), 1, 1e-6);
  EXPECT_NEAR(Dot(x, 0, 2), 0, 1e-6);
}

TEST(HashedTfidfTest, DigitsAndSymbolsStandByThemselves) {
  // 1 2 + x, and three pairs.
  EXPECT_EQ(Rows({"12+x"}).Columns(0).size(), 7u);
}

TEST(HashedTfidfTest, ARareWordWeighsMoreThanACommonOne) {
  const SparseRows x = Rows({"common rare", "common", "common"});
  // "common rare" shares only its weaker part with "common".
  EXPECT_LT(Dot(x, 0, 1), .5);
}

}  // namespace
}  // namespace penstock::router
