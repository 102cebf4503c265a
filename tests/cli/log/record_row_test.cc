#include "cli/log/record_row.h"

#include "absl/time/clock.h"
#include "cli/log/record_filter.h"
#include "cli/log/verify_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using router::RecordKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

router::Record RecordOf(RecordKind kind, absl::string_view content) {
  return {.sequence = 7, .time = "2026-11-30T08:00:00Z", .kind = kind, .content = content};
}

std::vector<std::string> RowOf(RecordKind kind, absl::string_view content) {
  const router::Record record = RecordOf(kind, content);
  const auto message = ParseMessage(record);
  EXPECT_TRUE(message.ok()) << message.status();
  return message.ok() ? RecordRow(record, *message) : std::vector<std::string>();
}

TEST(RecordRowTest, SaysWhoAnsweredWhomAndWhatItTook) {
  EXPECT_THAT(RowOf(RecordKind::kDecision,
                    R"({"id":"a-1","pool":"p","tenant":"acme","status":"OK","latency_ms":12.34,
                        "energy_j":0.5,"reason":"best","reported_quality":1,
                        "runs":[{"expert":"small"},{"expert":"big"},{"expert":"big"}]})"),
              ElementsAre("7", "2026-11-30T08:00:00Z", "decision", "a-1", "p", "acme", "small+big",
                          "OK", "12.3", "0.5", "1", "best"));
}

TEST(RecordRowTest, SaysWhatAnAdministratorDid) {
  EXPECT_THAT(RowOf(RecordKind::kAudit,
                    R"({"tenant":"acme","caller":"key-1","method":"SetBudget","status":"OK",
                        "arguments":{"pool":"p","amount":"5"}})")
                  .back(),
              "SetBudget amount=5 pool=p by key-1");
}

TEST(RecordRowTest, SaysWhatIsMissing) {
  EXPECT_THAT(RowOf(RecordKind::kGap, R"({"decisions":"3","events":"4"})").back(),
              "missing: 3 decisions, 4 events, 0 audits");
  EXPECT_THAT(RowOf(RecordKind::kEvent, R"({"router":7,"sequence":"9","settle":{}})").back(),
              "event 9: settle");
}

TEST(RecordRowTest, HoldsNothingThatMovesACursor) {
  const std::vector<std::string> row =
      RowOf(RecordKind::kDecision, R"({"pool":"a\tb\n\u001b[2J\u009b","reason":"\u007f"})");
  EXPECT_EQ(row[4], "a?b??[2J??");
  EXPECT_EQ(row.back(), "?");
  EXPECT_THAT(TabbedRow(row), HasSubstr("\ta?b??[2J??\t"));
}

TEST(RecordFilterTest, ChoosesBySequenceTimeAndKind) {
  const router::Record record = RecordOf(RecordKind::kDecision, "{}");
  const absl::Time now = absl::FromUnixSeconds(1'796'025'600);  // 2026-11-30T08:00:00Z
  RecordFilter filter;
  EXPECT_TRUE(filter.MayWant(record));
  ASSERT_TRUE(ParseSequences("7", filter).ok());
  EXPECT_TRUE(filter.MayWant(record));
  ASSERT_TRUE(ParseSequences("8-9", filter).ok());
  EXPECT_FALSE(filter.MayWant(record));
  ASSERT_TRUE(ParseSequences("1-9", filter).ok());
  EXPECT_TRUE(filter.MayWant(record));
  filter.since = *ParseWhen("--since", "2026-11-30T08:00:01Z", now);
  EXPECT_FALSE(filter.MayWant(record));
  filter.since = *ParseWhen("--since", "10m", now);
  EXPECT_TRUE(filter.MayWant(record));
  filter.until = now;
  EXPECT_FALSE(filter.MayWant(record));
  filter.until = absl::InfiniteFuture();
  ASSERT_TRUE(ParseKinds({"audit", "gap"}, filter).ok());
  EXPECT_FALSE(filter.MayWant(record));
}

TEST(RecordFilterTest, ChoosesByPoolTenantAndExpert) {
  v1::LogRecord decision, audit, event;
  decision.mutable_decision()->set_pool("p");
  decision.mutable_decision()->set_tenant("acme");
  decision.mutable_decision()->add_runs()->set_expert("big");
  audit.mutable_audit()->set_tenant("acme");
  event.mutable_event();
  RecordFilter filter;
  filter.tenant = "acme";
  EXPECT_TRUE(filter.Wants(decision));
  EXPECT_TRUE(filter.Wants(audit));
  EXPECT_FALSE(filter.Wants(event));
  filter.expert = "small";
  EXPECT_FALSE(filter.Wants(decision));
  EXPECT_FALSE(filter.MayWant(RecordOf(RecordKind::kAudit, "{}")));
  filter.expert = "big";
  filter.pool = "p";
  EXPECT_TRUE(filter.Wants(decision));
}

TEST(RecordFilterTest, NamesWhatItCannotRead) {
  RecordFilter filter;
  for (const char* text : {"", "x", "5-", "9-5", "-3", "1-2-3"}) {
    EXPECT_THAT(ParseSequences(text, filter).message(), HasSubstr("--sequence")) << text;
  }
  EXPECT_THAT(ParseKinds({"hole"}, filter).message(), HasSubstr("header,close"));
  EXPECT_THAT(ParseWhen("--until", "soon", absl::Now()).status().message(), HasSubstr("--until"));
  EXPECT_FALSE(ParseMessage(RecordOf(RecordKind::kDecision, "{\"id\":{}}")).ok());
}

TEST(VerifyTextTest, SaysWhatWasCheckedAndWhereItBreaks) {
  router::LogReport report;
  report.log = "0123456789abcdef";
  report.segments = 2;
  report.records = 9;
  report.of_kind[static_cast<size_t>(RecordKind::kDecision)] = 5;
  report.first_sequence = 4;
  report.last_sequence = 12;
  report.head = router::LogHead{.log = report.log, .sequence = 10};
  report.lost = 3;
  std::string text = FormatLogReport("dir", report);
  EXPECT_THAT(text, HasSubstr("2 segments, 9 records read: 5 decision"));
  EXPECT_THAT(text, HasSubstr("anchored at record 4"));
  EXPECT_THAT(text, HasSubstr("the log goes on for 2 records"));
  EXPECT_THAT(text, HasSubstr("3 records were never written"));
  EXPECT_THAT(text, Not(HasSubstr("BROKEN")));
  EXPECT_TRUE(nlohmann::json::parse(LogReportJson("dir", report))["whole"].get<bool>());

  report.broken = router::LogBreak{.file = "segment-1", .line = 3, .sequence = 5, .what = "w"};
  text = FormatLogReport("dir", report);
  EXPECT_THAT(text, HasSubstr("BROKEN    segment-1:3, after record 5: w"));
  EXPECT_THAT(text, Not(HasSubstr("has the hash of the one before")));
  const auto json = nlohmann::json::parse(LogReportJson("dir", report));
  EXPECT_FALSE(json["whole"].get<bool>());
  EXPECT_EQ(json["broken"]["line"], 3);
}

}  // namespace
}  // namespace penstock::cli
