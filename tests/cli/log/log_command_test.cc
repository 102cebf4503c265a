// `penstock log` of the built binary on a log that this process writes.

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/recording/chain/log_writer.h"
#include "router_service/recording/chain/segment_file.h"
#include "tests/integration/process.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::HasSubstr;
using testing::Not;

class LogCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto writer = router::LogWriter::Open(folder(), {.router = 7}, clock_);
    ASSERT_TRUE(writer.ok()) << writer.status();
    using router::RecordKind;
    (*writer)->Append(RecordKind::kDecision, R"({"id":"first","pool":"p","tenant":"acme"})");
    (*writer)->Append(RecordKind::kEvent, R"({"router":7,"sequence":"1","settle":{}})");
    (*writer)->Append(RecordKind::kAudit, R"({"tenant":"acme","method":"Promote"})");
    (*writer)->Append(RecordKind::kDecision, R"({"id":"second","pool":"q","tenant":"zeta"})");
  }
  std::string folder() const { return dir_.File("log"); }
  std::string Segment() const { return folder() + "/" + router::SegmentName(1); }
  int Log(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {std::string(PENSTOCK_BIN_DIR) + "/penstock", "log"});
    output_.clear();
    return RunCommand(arguments, output_);
  }
  void Change(const std::string& from, const std::string& to) {
    std::string text = dir_.Read("log/" + router::SegmentName(1));
    text.replace(text.find(from), from.size(), to);
    std::ofstream(Segment(), std::ios::binary) << text;
  }

  const TempDir dir_;
  const FakeClock clock_;
  std::string output_;
};

TEST_F(LogCommandTest, VerifyEndsWith1AtABreakAndNamesIt) {
  EXPECT_EQ(Log({"verify", folder()}), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("1 segments, 6 records read"));
  EXPECT_THAT(output_, HasSubstr("the router stopped in order"));
  Change("second", "sekond");
  EXPECT_EQ(Log({"verify", folder()}), 1);
  EXPECT_THAT(output_, HasSubstr(router::SegmentName(1) + ":5, after record 4"));
  EXPECT_EQ(Log({"verify", folder(), "--json"}), 1);
  EXPECT_THAT(output_, HasSubstr("\"whole\":false"));
}

TEST_F(LogCommandTest, VerifyComparesWithAHeadFromElsewhere) {
  const std::string kept = dir_.File("kept");
  std::filesystem::copy(folder() + "/head", kept);
  EXPECT_EQ(Log({"verify", folder(), "--head", kept}), 0) << output_;
  std::filesystem::remove_all(folder());
  SetUp();
  EXPECT_EQ(Log({"verify", folder(), "--head", kept}), 0)
      << "the same records have the same hashes";
  std::filesystem::remove_all(folder());
  { ASSERT_TRUE(router::LogWriter::Open(folder(), {.router = 7}, clock_).ok()); }
  EXPECT_EQ(Log({"verify", folder()}), 0) << output_;
  EXPECT_EQ(Log({"verify", folder(), "--head", kept}), 1);
  EXPECT_NE(Log({"verify", folder(), "--head", dir_.File("nowhere")}), 0);
}

TEST_F(LogCommandTest, ShowsWhatIsAskedFor) {
  EXPECT_EQ(Log({"show", folder()}), 0) << output_;
  for (const char* part : {"header", "first", "event 1: settle", "Promote", "second", "close"}) {
    EXPECT_THAT(output_, HasSubstr(part));
  }
  EXPECT_EQ(Log({"show", folder(), "--pool", "p"}), 0);
  EXPECT_THAT(output_, HasSubstr("first"));
  EXPECT_THAT(output_, Not(HasSubstr("second")));
  EXPECT_EQ(Log({"show", folder(), "--sequence", "5", "--json"}), 0);
  EXPECT_THAT(output_, testing::StartsWith("{\"sequence\":\"5\""));
  EXPECT_THAT(output_, Not(HasSubstr("hash")));
  EXPECT_EQ(Log({"show", folder(), "--kind", "hole"}), 1);
}

TEST_F(LogCommandTest, ShowsWhatIsWholeAndSaysThatTheRestIsNot) {
  Change("second", "sekond");
  EXPECT_EQ(Log({"show", folder()}), 1);
  EXPECT_THAT(output_, HasSubstr("first"));
  EXPECT_THAT(output_, HasSubstr("broken"));
}

TEST_F(LogCommandTest, ExportsLinesWithoutHashes) {
  const std::string file = dir_.File("out.jsonl");
  EXPECT_EQ(Log({"export", folder(), "--output", file}), 0) << output_;
  EXPECT_EQ(dir_.Read("out.jsonl"),
            "{\"id\":\"first\",\"pool\":\"p\",\"tenant\":\"acme\"}\n"
            "{\"router\":7,\"sequence\":\"1\",\"settle\":{}}\n"
            "{\"id\":\"second\",\"pool\":\"q\",\"tenant\":\"zeta\"}\n");
  EXPECT_EQ(Log({"export", folder(), "--format", "tsv", "--kind", "decision"}), 0);
  EXPECT_THAT(output_, testing::StartsWith("sequence\ttime\tkind\tid\t"));
  EXPECT_THAT(output_, HasSubstr("\tdecision\tsecond\tq\tzeta\t"));
  EXPECT_EQ(Log({"export", folder(), "--kind", "decision"}), 1);
}

}  // namespace
}  // namespace penstock
