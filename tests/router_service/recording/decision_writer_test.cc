#include "router_service/recording/decision_writer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/recording/logged_lines.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;

class DecisionWriterTest : public testing::Test {
 protected:
  std::unique_ptr<DecisionWriter> Open(DecisionWriter::Options options = {}) {
    options.router = 7;
    // One group, however slow the machine: what is queued is written when the writer goes.
    options.sync_interval = absl::Seconds(10);
    auto log = LogWriter::Open(folder(), {.router = 7}, clock_);
    EXPECT_TRUE(log.ok()) << log.status();
    return std::make_unique<DecisionWriter>(*std::move(log), options);
  }
  // Decisions by id, events by their sequence, gaps by what they tell; of the rest the kind.
  std::vector<std::string> Records() const {
    std::vector<std::string> records;
    for (const v1::LogRecord& record : RecordsIn(folder())) {
      if (record.has_decision()) {
        records.push_back(record.decision().id());
      } else if (record.has_event()) {
        EXPECT_EQ(record.event().router(), 7u);
        records.push_back(absl::StrCat(record.event().has_end() ? "end " : "event ",
                                       record.event().sequence()));
      } else if (record.has_gap()) {
        records.push_back(absl::StrCat("gap ", record.gap().decisions(), "/",
                                       record.gap().events(), "/", record.gap().audits()));
      } else {
        records.push_back(record.has_header() ? "header" : record.has_close() ? "close" : "other");
      }
    }
    return records;
  }
  std::string folder() const { return dir_.File("log"); }

  static std::shared_ptr<v1::PacerEvent> Event(uint64_t sequence) {
    auto event = std::make_shared<v1::PacerEvent>();
    event->set_sequence(sequence);
    event->mutable_settle()->set_energy_j(0.1 * static_cast<double>(sequence));
    return event;
  }
  static std::shared_ptr<v1::Decision> Decision(const std::string& id) {
    auto decision = std::make_shared<v1::Decision>();
    decision->set_id(id);
    return decision;
  }

  const TempDir dir_;
  FakeClock clock_;
};

TEST_F(DecisionWriterTest, EventsStandBetweenDecisionsInTheirOrderAndHaveAnEnd) {
  {
    const auto writer = Open();
    writer->Record(Event(1));
    writer->Append(Decision("a"));
    writer->Record(Event(2));
  }
  EXPECT_THAT(Records(), ElementsAre("header", "event 1", "a", "event 2", "end 3", "close"));
}

TEST_F(DecisionWriterTest, OfNoEventsHasNoEnd) {
  Open()->Append(Decision("a"));
  EXPECT_THAT(Records(), ElementsAre("header", "a", "close"));
}

TEST_F(DecisionWriterTest, WhatGoesBesideADecisionStandsInIt) {
  {
    const auto writer = Open();
    auto features = std::make_unique<v1::Features>();
    features->set_dimension(3);
    auto choice = std::make_unique<v1::ChoiceRecord>();
    choice->add_score(0.1);
    writer->Append(Decision("a"), std::move(features), std::move(choice));
    writer->Append(std::make_shared<v1::Decision>(), nullptr, std::make_unique<v1::ChoiceRecord>());
  }
  const std::vector<v1::Decision> decisions = DecisionsIn(folder());
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].features().dimension(), 3u);
  EXPECT_EQ(decisions[0].choice().score(0), 0.1);
  EXPECT_TRUE(decisions[1].has_choice());
}

// Without room for any decision or event: audits have places of their own.
TEST_F(DecisionWriterTest, WhatDoesNotFitTheQueueIsCountedWhereItIsMissing) {
  RecordCounts dropped{};
  {
    const auto writer = Open({.most_decisions = 0});
    writer->Append(Decision("a"));
    for (uint64_t i = 1; i <= 5; ++i) writer->Record(Event(i));
    writer->Append(std::make_unique<v1::AuditRecord>());
    writer->Append(Decision("b"));
    dropped = writer->state().dropped;
  }
  EXPECT_EQ(dropped[static_cast<size_t>(RecordKind::kDecision)], 2u);
  EXPECT_EQ(dropped[static_cast<size_t>(RecordKind::kEvent)], 5u);
  EXPECT_THAT(Records(),
              ElementsAre("header", "gap 1/5/0", "other", "gap 1/0/0", "end 6", "close"));
  const std::vector<v1::LogRecord> records = RecordsIn(folder());
  EXPECT_EQ(records[4].event().end().lost(), 7u);
}

TEST_F(DecisionWriterTest, WhatDoesNotFitItsBytesIsCounted) {
  {
    const auto writer = Open({.most_bytes = 1000});
    writer->Append(Decision(std::string(2000, 'x')));
    writer->Append(Decision("a"));
  }
  EXPECT_THAT(Records(), ElementsAre("header", "gap 1/0/0", "a", "close"));
}

// Metadata of callers and experts' errors may hold anything: of a string that is no UTF-8 protobuf
// would write nothing.
TEST_F(DecisionWriterTest, TextThatIsNoUtf8IsEscaped) {
  {
    const auto writer = Open();
    writer->Append(Decision("a"));
    const auto decision = Decision("\xff\xfe");
    decision->set_reason("expert one: \xc3 no answer");
    decision->add_runs()->set_reason("cut \xe2\x82");
    writer->Append(decision);
    writer->Append(Decision("b"));
  }
  EXPECT_THAT(Records(), ElementsAre("header", "a", "\\xff\\xfe", "b", "close"));
  const std::vector<v1::Decision> decisions = DecisionsIn(folder());
  ASSERT_EQ(decisions.size(), 3u);
  EXPECT_EQ(decisions[1].reason(), "expert one: \\xc3 no answer");
  EXPECT_EQ(decisions[1].runs(0).reason(), "cut \\xe2\\x82");
}

TEST_F(DecisionWriterTest, StateSaysWhatIsOnTheDisk) {
  const auto writer = Open();
  EXPECT_EQ(writer->state().segments, 1u);
  EXPECT_EQ(writer->state().sequence, 1u);
  EXPECT_GT(writer->state().bytes, 0u);
  EXPECT_EQ(writer->state().failures, 0u);
}

}  // namespace
}  // namespace penstock::router
