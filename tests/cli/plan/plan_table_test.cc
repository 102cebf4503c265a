#include "cli/plan/plan_table.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kGood[] =
    R"({"id": 1, "class": "chat", "experts": {"a": {"quality": 1, "joules": 2, "seconds": 0.5, "confidence": [0.9, 0.1]}}})"
    "\n"
    R"({"id": 2, "experts": {"b": {"quality": null, "joules": 3}, "a": {"quality": true}}})"
    "\n";

TEST(PlanTableTest, ReadsColumnsAndLeavesUnknownWhatIsNotTold) {
  const TempDir dir;
  dir.Write("t.jsonl", kGood);
  ASSERT_OK_AND_ASSIGN(const PlanTable table, ReadPlanTable(dir.File("t.jsonl"), 0));
  EXPECT_THAT(table.experts, ElementsAre("a", "b"));
  EXPECT_THAT(table.classes, ElementsAre("chat", "default"));
  EXPECT_EQ(table.rows(), 2u);
  EXPECT_THAT(table.quality[0], ElementsAre(1, 1));
  EXPECT_TRUE(std::isnan(table.quality[1][0]));
  EXPECT_TRUE(std::isnan(table.quality[1][1]));
  EXPECT_EQ(table.joules[1][1], 3);
  EXPECT_EQ(table.seconds[0][0], 0.5f);
  EXPECT_EQ(table.confidence[0][0], 0.9f);
  EXPECT_TRUE(std::isnan(table.confidence[0][1]));
}

TEST(PlanTableTest, CountsMalformedLinesNamesThemAndLeavesThemOut) {
  const TempDir dir;
  dir.Write("t.jsonl", std::string(kGood) + "not json\n\n" +
                           R"({"experts": {"a": {"quality": 7}}})" + "\n" + R"({"id": 4})");
  ASSERT_OK_AND_ASSIGN(const PlanTable table, ReadPlanTable(dir.File("t.jsonl"), 3));
  EXPECT_EQ(table.rows(), 2u);
  EXPECT_EQ(table.skipped, 3u);
  EXPECT_THAT(
      table.problems,
      ElementsAre(HasSubstr("t.jsonl:3: no JSON object"),
                  HasSubstr("t.jsonl:5: experts.a.quality: wanted a number in [0, 1], found 7"),
                  HasSubstr("t.jsonl:6: experts: wanted an object")));
}

TEST(PlanTableTest, TooManyMalformedLinesEndTheReading) {
  const TempDir dir;
  dir.Write("t.jsonl", std::string(kGood) + "x\ny\nz\n");
  EXPECT_THAT(ReadPlanTable(dir.File("t.jsonl"), 2),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("t.jsonl:5"), HasSubstr("more than 2"))));
}

TEST(PlanTableTest, NamesAFileThatIsMissingOrEmpty) {
  const TempDir dir;
  EXPECT_THAT(ReadPlanTable(dir.File("none"), 0), StatusIs(absl::StatusCode::kNotFound));
  dir.Write("empty", "\n");
  EXPECT_THAT(ReadPlanTable(dir.File("empty"), 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has no outcomes")));
}

}  // namespace
}  // namespace penstock::cli
