#include "cli/output/table.h"

#include "gtest/gtest.h"

namespace penstock::cli {
namespace {

TEST(TableTest, AlignsTheFirstColumnLeftAndTheOthersRight) {
  Table table({"expert", "ms", "mJ"});
  table.AddRow({"small", "1.25", "7"});
  table.AddRow({"a_large_one", "12.50", "1234"});
  EXPECT_EQ(table.ToString(),
            "expert          ms    mJ\n"
            "small         1.25     7\n"
            "a_large_one  12.50  1234\n");
}

TEST(TableTest, CountsCharactersOfUtf8AndNotBytes) {
  Table table({"name", "v"});
  table.AddRow({"größe", "1"});  // five characters in seven bytes
  table.AddRow({"width", "±2"});
  EXPECT_EQ(table.ToString(),
            "name    v\n"
            "größe   1\n"
            "width  ±2\n");
}

TEST(TableTest, HeaderMayBeTheWidestCell) {
  Table table({"n", "requests"});
  table.AddRow({"1", "2"});
  EXPECT_EQ(table.ToString(), "n  requests\n1         2\n");
}

TEST(TableTest, LeavesNoTrailingSpacesBehindEmptyCells) {
  Table table({"name", "why not"});
  table.AddRow({"a", ""});
  table.AddRow({"", ""});
  EXPECT_EQ(table.ToString(), "name  why not\na\n\n");
}

TEST(TableTest, RowThatIsTooShortIsFilledAndOneThatIsTooLongIsCut) {
  Table table({"a", "b"});
  table.AddRow({"1"});
  table.AddRow({"1", "2", "3"});
  EXPECT_EQ(table.ToString(), "a  b\n1\n1  2\n");
}

TEST(TableTest, HeaderAloneIsALine) { EXPECT_EQ(Table({"a", "b"}).ToString(), "a  b\n"); }

}  // namespace
}  // namespace penstock::cli
