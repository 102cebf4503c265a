#include "common/reload/config_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

TEST(ConfigTextTest, ReadsAWholeFile) {
  const TempDir dir;
  EXPECT_EQ(*ReadConfigText(dir.Write("a.yaml", "seed: 1\n")), "seed: 1\n");
  EXPECT_THAT(ReadConfigText(dir.File("none.yaml")).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.yaml")));
}

TEST(ConfigTextTest, ANumberThatLostItsEndIsNotWhole) {
  EXPECT_THAT(CheckWhole("max_in_flight: 1000\n", "max_in_flight: 10"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line feed")));
  EXPECT_THAT(CheckWhole("max_in_flight: 1000", "max_in_flight: 10"), IsOk());
}

TEST(ConfigTextTest, AFileThatEndedInAMarkerGoesOnEndingInOne) {
  EXPECT_THAT(CheckWhole("a: 1\nb: 2\n...\n", "a: 1\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("...")));
  EXPECT_THAT(CheckWhole("a: 1\n...\n", "a: 1\nb: '...'\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("...")));
  EXPECT_THAT(CheckWhole("a: 1\n...\n", "a: 1\n...\n\n"), IsOk());
  EXPECT_THAT(CheckWhole("a: 1\n", "a: 1\nb: 2\n...\n"), IsOk());
}

}  // namespace
}  // namespace penstock
