#include "cli/report/feedback_file.h"

#include <sstream>

#include "tests/support/status_matchers.h"

namespace penstock::cli {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::vector<Feedback>> Read(const std::string& text) {
  std::istringstream stream(text);
  return ReadFeedback(stream, "feedback.jsonl");
}

TEST(FeedbackFileTest, ReadsAReportALine) {
  ASSERT_OK_AND_ASSIGN(const std::vector<Feedback> read,
                       Read("{\"decision_id\": \"a-1\", \"quality\": 1}\n\n"
                            "{\"quality\": 0.25, \"decision_id\": \"a-2\"}"));
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].decision_id, "a-1");
  EXPECT_EQ(read[0].quality, 1);
  EXPECT_EQ(read[1].decision_id, "a-2");
  EXPECT_EQ(read[1].quality, 0.25);
  EXPECT_EQ(read[1].line, 3u) << "empty lines count as lines";
}

TEST(FeedbackFileTest, NamesLineAndFieldOfWhatIsWrong) {
  const std::string good = "{\"decision_id\": \"a-1\", \"quality\": 1}\n";
  const auto refused = [&](const std::string& line, const std::string& what) {
    EXPECT_THAT(Read(good + line),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         testing::AllOf(testing::StartsWith("feedback.jsonl:2: "), HasSubstr(what))));
  };
  refused("{\"decision_id\": \"a-1\", \"quality\": 1.5}", "quality: wanted a number in [0, 1], got 1.5");
  refused("{\"decision_id\": \"a-1\", \"quality\": \"good\"}", "quality: wanted a number in [0, 1], got \"good\"");
  refused("{\"decision_id\": \"a-1\"}", "quality is missing");
  refused("{\"quality\": 1}", "decision_id is missing");
  refused("{\"decision_id\": 7, \"quality\": 1}", "decision_id: wanted a string, got 7");
  refused("{\"decision_id\": \"a-1\", \"score\": 1}", "\"score\": unknown");
  refused("[]", "wanted a JSON object with decision_id and quality, got []");
  refused("a-1,1", "what is no JSON");
}

TEST(FeedbackFileTest, AFileWithoutReportsIsAnError) {
  EXPECT_THAT(Read("\n"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got none")));
}

}  // namespace
}  // namespace penstock::cli
