#include "router_service/quality/learned/neighbour_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "common/random.h"
#include "tests/support/status_matchers.h"

// hnswlib keeps one mutex a row and takes them in any order. A graph is built by one thread and only
// read afterwards; ThreadSanitizer's detector of deadlocks cannot know, and its table overflows.
extern "C" const char* __tsan_default_options() { return "detect_deadlocks=0"; }

namespace penstock::router {
namespace {

// Unit rows about one of `topics` sets of columns, as texts are: half of a row's words are its
// topic's.
SparseRows TopicRows(size_t rows, size_t columns, size_t topics, uint64_t seed) {
  SparseRows x;
  x.columns = columns;
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(seed, row);
    const uint64_t topic = random.Below(topics);
    std::set<uint32_t> words;
    for (int i = 0; i < 40; ++i) {
      words.insert(static_cast<uint32_t>(
          i % 2 == 0 ? CounterRandom(7, topic * 64 + random.Below(32)).Below(columns)
                     : random.Below(columns)));
    }
    const std::vector<uint32_t> at(words.begin(), words.end());
    x.Add(at, std::vector<float>(at.size(), 1 / std::sqrt(static_cast<float>(at.size()))));
  }
  return x;
}

double Recall(const NeighbourIndex& index, const SparseRows& rows, const SparseRows& queries,
              size_t k) {
  const NearestNeighbours exact(rows);
  double found = 0, wanted = 0;
  std::vector<Neighbour> got;
  for (size_t q = 0; q < queries.rows(); ++q) {
    index.Find(queries.Columns(q), queries.Values(q), k, got);
    // Of equally alike rows any will do.
    const float least =
        exact.Find(queries.Columns(q), queries.Values(q), k).back().similarity - 1e-5f;
    wanted += static_cast<double>(k);
    found += static_cast<double>(std::count_if(
        got.begin(), got.end(), [&](const Neighbour& n) { return n.similarity >= least; }));
  }
  return found / wanted;
}

TEST(NeighbourIndex, FindsWhatComparingWithEveryRowFinds) {
  const SparseRows rows = TopicRows(300, 400, 10, 1), queries = TopicRows(20, 400, 10, 2);
  ASSERT_OK_AND_ASSIGN(const NeighbourIndex index, NeighbourIndex::Build(rows));
  const NearestNeighbours exact(rows);
  std::vector<Neighbour> got;
  for (size_t q = 0; q < queries.rows(); ++q) {
    index.Find(queries.Columns(q), queries.Values(q), 10, got);
    const std::vector<Neighbour> wanted = exact.Find(queries.Columns(q), queries.Values(q), 10);
    ASSERT_EQ(got.size(), 10u);
    for (size_t i = 0; i < 10; ++i) EXPECT_NEAR(got[i].similarity, wanted[i].similarity, 1e-5);
  }
}

TEST(NeighbourIndex, SimilarityIsTheCosineWhateverTheLengthsAre) {
  SparseRows rows;
  rows.columns = 3;
  rows.Add({0, 1}, {3, 4});
  rows.Add({2}, {0.1f});
  rows.Add({}, {});
  ASSERT_OK_AND_ASSIGN(const NeighbourIndex index, NeighbourIndex::Build(rows));
  std::vector<Neighbour> got;
  index.Find({0, 2}, {10, 0}, 3, got);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].row, 0u);
  EXPECT_NEAR(got[0].similarity, 0.6, 1e-6);
  EXPECT_EQ(got[1].similarity, 0);
  index.Find({2}, {5}, 1, got);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].row, 1u);
  EXPECT_NEAR(got[0].similarity, 1, 1e-6);
}

TEST(NeighbourIndex, WhatIsNoNumberIsNobodysNeighbour) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  SparseRows rows;
  rows.columns = 2;
  for (int i = 0; i < 60; ++i) {
    rows.Add({0, 1}, {i % 3 == 0 ? kNan : i % 3 == 1 ? kInfinity : 1.0f, static_cast<float>(i)});
  }
  ASSERT_OK_AND_ASSIGN(const NeighbourIndex index, NeighbourIndex::Build(rows));
  std::vector<Neighbour> got;
  index.Find({0, 1}, {1, 2}, 60, got);
  ASSERT_EQ(got.size(), 20u);
  EXPECT_EQ(got[0].row, 2u);  // (1, 2)
  EXPECT_NEAR(got[0].similarity, 1, 1e-6);
  for (size_t i = 1; i < got.size(); ++i) {
    EXPECT_EQ(got[i].row % 3, 2u);
    EXPECT_LE(got[i].similarity, got[i - 1].similarity);
  }
  index.Find({0, 1}, {kNan, 1}, 3, got);
  EXPECT_TRUE(got.empty());
}

TEST(NeighbourIndex, SketchesOfManyColumnsLoseFewNeighbours) {
  const SparseRows rows = TopicRows(4000, 1 << 18, 40, 1), queries = TopicRows(30, 1 << 18, 40, 2);
  ASSERT_OK_AND_ASSIGN(const NeighbourIndex index, NeighbourIndex::Build(rows));
  EXPECT_EQ(index.graph(), nullptr);
  EXPECT_GE(Recall(index, rows, queries, 20), 0.95);
}

TEST(NeighbourIndex, ManyRowsAreSearchedByAGraphThatLosesFewNeighbours) {
  constexpr size_t kMostScanned = 1000;
  const SparseRows rows = TopicRows(kMostScanned + 500, 1 << 18, 20, 1),
                   queries = TopicRows(30, 1 << 18, 20, 2);
  ASSERT_OK_AND_ASSIGN(const NeighbourIndex index, NeighbourIndex::Build(rows, kMostScanned));
  ASSERT_NE(index.graph(), nullptr);
  const double recall = Recall(index, rows, queries, 20);
  RecordProperty("recall_at_20", std::to_string(recall));
  EXPECT_GE(recall, 0.9);

  // The graph of a file finds the same, and the same rows give the same bytes.
  ASSERT_OK_AND_ASSIGN(const std::string bytes, index.graph()->Bytes());
  ASSERT_OK_AND_ASSIGN(const NeighbourIndex read, NeighbourIndex::WithGraph(rows, bytes));
  std::vector<Neighbour> of_built, of_read;
  for (size_t q = 0; q < queries.rows(); ++q) {
    index.Find(queries.Columns(q), queries.Values(q), 20, of_built);
    read.Find(queries.Columns(q), queries.Values(q), 20, of_read);
    ASSERT_EQ(of_built.size(), 20u);
    for (size_t i = 0; i < 20; ++i) EXPECT_EQ(of_built[i].row, of_read[i].row);
  }
  ASSERT_OK_AND_ASSIGN(const NeighbourIndex again, NeighbourIndex::Build(rows, kMostScanned));
  ASSERT_OK_AND_ASSIGN(const std::string same, again.graph()->Bytes());
  EXPECT_EQ(bytes, same);
}

TEST(NeighbourGraph, RefusesBytesThatAreNoGraphOfTheseRows) {
  CodedRows rows;
  rows.width = 4;
  for (int row = 0; row < 50; ++row) {
    CounterRandom random(1, static_cast<uint64_t>(row));
    for (int k = 0; k < 4; ++k) rows.codes.push_back(static_cast<int8_t>(random.Below(200)));
    rows.factors.push_back(0.01f);
  }
  ASSERT_OK_AND_ASSIGN(const auto graph, NeighbourGraph::Build(rows));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, graph->Bytes());
  ASSERT_THAT(NeighbourGraph::FromBytes(bytes, 50, 4), IsOk());
  const auto refused = [](absl::string_view bad, size_t count, size_t width) {
    return StatusOf(NeighbourGraph::FromBytes(bad, count, width)).code() ==
           absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(bytes, 49, 4));
  EXPECT_TRUE(refused(bytes, 50, 5));
  EXPECT_TRUE(refused(absl::string_view(bytes).substr(0, bytes.size() - 1), 50, 4));
  EXPECT_TRUE(refused(bytes + "x", 50, 4));
  EXPECT_TRUE(refused("", 50, 4));
  std::string links = bytes;
  constexpr size_t kFirstLink = 100;  // after the header and the number of the first row's links
  for (size_t i = kFirstLink; i < kFirstLink + 4; ++i) links[i] = '\xFF';
  EXPECT_TRUE(refused(links, 50, 4));
}

}  // namespace
}  // namespace penstock::router
