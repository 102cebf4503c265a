#include "cli/evaluate/labelled_data.h"

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Three rows of two values and their labels.
class ReadLabelledDataTest : public testing::Test {
 protected:
  ReadLabelledDataTest() {
    const std::vector<float> values = {0, 1, 10, 11, 20, 21};
    inputs_ = folder_.Write("x.f32", {reinterpret_cast<const char*>(values.data()),
                                      values.size() * sizeof(float)});
    labels_ = folder_.Write("y.u8", {"\x07\x00\xff", 3});
  }

  const TempDir folder_;
  std::string inputs_;
  std::string labels_;
};

TEST_F(ReadLabelledDataTest, GivesRowsAndLabels) {
  ASSERT_OK_AND_ASSIGN(const LabelledData data, ReadLabelledData(inputs_, labels_, 2, 0));
  EXPECT_EQ(data.rows, 3u);
  EXPECT_EQ(data.dimension, 2u);
  EXPECT_THAT(data.inputs, ElementsAre(0, 1, 10, 11, 20, 21));
  EXPECT_THAT(data.labels, ElementsAre(7, 0, 255));
}

TEST_F(ReadLabelledDataTest, LimitKeepsTheFirstRows) {
  ASSERT_OK_AND_ASSIGN(const LabelledData data, ReadLabelledData(inputs_, labels_, 2, 2));
  EXPECT_EQ(data.rows, 2u);
  EXPECT_THAT(data.inputs, ElementsAre(0, 1, 10, 11));
  EXPECT_THAT(data.labels, ElementsAre(7, 0));
}

TEST_F(ReadLabelledDataTest, LimitBeyondTheEndKeepsAll) {
  ASSERT_OK_AND_ASSIGN(const LabelledData data, ReadLabelledData(inputs_, labels_, 2, 99));
  EXPECT_EQ(data.rows, 3u);
}

TEST_F(ReadLabelledDataTest, SizesThatDoNotFitSayWhatWasWantedAndWhatCame) {
  // Another dimension: too many rows, too few, none that comes out even.
  for (const size_t dimension : {1, 3, 4, 6}) {
    EXPECT_THAT(ReadLabelledData(inputs_, labels_, dimension, 0),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(inputs_), HasSubstr(labels_), HasSubstr("wanted 3 rows"),
                               HasSubstr("got 24 bytes"))))
        << dimension;
  }
}

TEST_F(ReadLabelledDataTest, LabelForEachRowIsWantedEvenBelowTheLimit) {
  const std::string two = folder_.Write("two", "12");
  EXPECT_THAT(ReadLabelledData(inputs_, two, 2, 1), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ReadLabelledDataTest, EmptyFilesAndImpossibleDimensionsAreRefused) {
  const std::string empty = folder_.Write("empty", "");
  EXPECT_THAT(ReadLabelledData(empty, empty, 2, 0), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ReadLabelledData(inputs_, labels_, 0, 0), StatusIs(absl::StatusCode::kInvalidArgument));
  // Times four bytes these wrap round, to 0 and to the right row size.
  for (const size_t dimension : {size_t{1} << 62, (size_t{1} << 62) + 2}) {
    EXPECT_THAT(ReadLabelledData(inputs_, labels_, dimension, 0),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(ReadLabelledDataTest, FileThatCannotBeReadIsNamed) {
  EXPECT_THAT(ReadLabelledData("/nowhere/x", labels_, 2, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/nowhere/x")));
  EXPECT_THAT(ReadLabelledData(inputs_, "/nowhere/y", 2, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/nowhere/y")));
}

}  // namespace
}  // namespace penstock::cli
