#include "common/read_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

TEST(ReadFileTest, ReadsAllOfAFileThatHasNotMoreThanItMay) {
  const TempDir dir;
  EXPECT_EQ(*ReadFile(dir.Write("empty", ""), 0), "");
  const std::string text(200'000, 'x');  // more than is read at once
  const std::string path = dir.Write("text", text);
  EXPECT_EQ(*ReadFile(path, 1 << 20), text);
  EXPECT_EQ(*ReadFile(path, text.size()), text);
}

TEST(ReadFileTest, SaysHowMuchThereIsOfALargerOne) {
  const TempDir dir;
  const std::string path = dir.Write("text", std::string(200'000, 'x'));
  EXPECT_THAT(ReadFile(path, 199'999).status(),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr(path + ": wanted at most 199999 bytes, found 200000")));
  EXPECT_THAT(ReadFile(dir.Write("one", "x"), 0).status(), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ReadFile("/dev/zero", 100).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("found more")));
}

TEST(ReadFileTest, NamesWhatCannotBeRead) {
  const TempDir dir;
  EXPECT_THAT(ReadFile(dir.File("absent"), 100).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("absent: cannot be read: No such file")));
  EXPECT_THAT(ReadFile(dir.path(), 100).status(),
              StatusIs(StatusCode::kUnavailable, HasSubstr(dir.path() + ": cannot be read")));
}

}  // namespace
}  // namespace penstock
