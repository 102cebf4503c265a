#include "router_service/pacing/sharing/budget_shares.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/pacing/sharing/told_demand.h"

namespace penstock::router {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(100);

// Routers that tell each other everything every 100 ms.
class Table {
 public:
  explicit Table(size_t routers) {
    for (size_t i = 0; i < routers; ++i) Join();
  }

  void Join() {
    names_.push_back("router" + std::to_string(names_.size()));
    shares_.emplace_back(names_.back());
    told_.emplace_back();
    alive_.push_back(true);
    said_.push_back(1);
    rate_.push_back(0);
    elsewhere_.push_back(0);
  }
  void Kill(size_t router) { alive_[router] = false; }
  // Requests a period, each of which wants `size`.
  void SetRate(size_t router, double rate, double size = 1) {
    rate_[router] = rate;
    size_[router] = size;
  }
  void Run(absl::Duration time) {
    for (const absl::Time end = now_ + time; now_ < end;) {
      now_ += kPeriod;
      Round();
    }
  }
  // Nobody hears of anybody.
  void Silence(absl::Duration time) { now_ += time; }
  void Round() {
    ++beat_;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (!alive_[i]) continue;
      BudgetDemand& demand = told_[i].demand;
      due_[i] += rate_[i];
      const auto whole = static_cast<uint64_t>(due_[i]);
      due_[i] -= static_cast<double>(whole);
      demand.arrivals += whole;
      demand.decisions += whole;
      demand.wanted += static_cast<double>(whole) * size_[i];
      demand.settled += static_cast<double>(whole);
      told_[i].beat = beat_;
    }
    for (size_t i = 0; i < names_.size(); ++i) {
      if (!alive_[i]) continue;
      const auto heard = shares_[i].Hear(Rows(), told_[i].demand, now_, kPeriod);
      if (!heard.has_value()) continue;
      said_[i] = heard->share;
      elsewhere_[i] = heard->requests_elsewhere;
      spent_[i] += heard->spent_elsewhere;
    }
  }

  double share(size_t router) const { return said_[router]; }
  double sum() const {
    double sum = 0;
    for (size_t i = 0; i < said_.size(); ++i) sum += alive_[i] ? said_[i] : 0;
    return sum;
  }
  double requests_elsewhere(size_t router) const { return elsewhere_[router]; }
  double spent_elsewhere(size_t router) { return spent_[router]; }
  const BudgetDemand& demand(size_t router) const { return told_[router].demand; }

 private:
  ToldDemands Rows() const {
    ToldDemands rows;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (told_[i].beat > 0) rows[names_[i]] = told_[i];
    }
    return rows;
  }

  absl::Time now_ = absl::UnixEpoch() + absl::Hours(10);
  int64_t beat_ = 0;
  std::vector<std::string> names_;
  std::vector<BudgetShares> shares_;
  std::vector<ToldDemand> told_;
  std::vector<bool> alive_;
  std::vector<double> said_, rate_, elsewhere_;
  std::map<size_t, double> size_, due_, spent_;
};

TEST(BudgetSharesTest, OneAloneHasAll) {
  Table table(1);
  table.SetRate(0, 2);
  table.Run(absl::Seconds(20));
  EXPECT_EQ(table.share(0), 1);
  EXPECT_EQ(table.requests_elsewhere(0), 0);
}

TEST(BudgetSharesTest, NewcomersShareEqually) {
  Table table(4);
  table.Round();
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(table.share(i), 0.25);
}

TEST(BudgetSharesTest, SharesFollowDemandAndSumToOne) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CounterRandom random(7, seed);
    const size_t routers = 2 + random.Below(7);
    Table table(routers);
    double all = 0;
    std::vector<double> demand(routers);
    for (size_t i = 0; i < routers; ++i) {
      const double rate = random.Below(5) == 0 ? 0 : 0.2 + 10 * random.Uniform();
      const double size = 1 + 9 * random.Uniform();
      table.SetRate(i, rate, size);
      demand[i] = rate * size;
      all += demand[i];
    }
    table.Run(absl::Seconds(60));
    // What is said may be a hundredth off.
    EXPECT_NEAR(table.sum(), 1, 0.02) << seed;
    for (size_t i = 0; i < routers && all > 0; ++i) {
      const double wanted = 0.8 * demand[i] / all + 0.2 / static_cast<double>(routers);
      EXPECT_NEAR(table.share(i), wanted, 0.05 * wanted) << seed << " " << i;
    }
  }
}

TEST(BudgetSharesTest, TheDeadFallOutAndTheirShareIsTaken) {
  Table table(3);
  for (size_t i = 0; i < 3; ++i) table.SetRate(i, 4);
  table.Run(absl::Seconds(30));
  table.Kill(1);
  table.Run(absl::Seconds(4));
  EXPECT_LT(table.sum(), 0.98);  // it may come back
  table.Run(absl::Seconds(8));
  EXPECT_NEAR(table.sum(), 1, 0.02);
  table.Kill(2);
  table.Run(absl::Seconds(6));
  EXPECT_EQ(table.share(0), 1);
}

TEST(BudgetSharesTest, AfterASilenceOfTheStoreNobodyIsTakenForDead) {
  Table table(3);
  for (size_t i = 0; i < 3; ++i) table.SetRate(i, 4);
  table.Run(absl::Seconds(30));
  table.Silence(absl::Minutes(3));
  table.Round();
  EXPECT_NEAR(table.sum(), 1, 0.03);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(table.share(i), 1.0 / 3, 0.02);
}

TEST(BudgetSharesTest, ALargerRequestElsewhereCountsForSeveral) {
  Table table(2);
  table.SetRate(0, 2, 1);
  table.SetRate(1, 2, 5);
  table.Run(absl::Minutes(10));
  // 20 requests a second of five times the size.
  EXPECT_NEAR(table.requests_elsewhere(0), 100, 3);
  EXPECT_NEAR(table.requests_elsewhere(1), 4, 0.2);
}

TEST(BudgetSharesTest, WhatOthersSpentIsToldOnceAndWhole) {
  Table table(3);
  for (size_t i = 0; i < 3; ++i) table.SetRate(i, 1.0 + static_cast<double>(i));
  table.Round();  // what is found there is not theirs to pay
  const double found = table.demand(1).settled + table.demand(2).settled;
  table.Run(absl::Seconds(20));
  table.Silence(absl::Minutes(1));
  table.Run(absl::Seconds(1));
  EXPECT_DOUBLE_EQ(table.spent_elsewhere(0),
                   table.demand(1).settled + table.demand(2).settled - found);
}

TEST(BudgetSharesTest, WhoComesTakesOverTheCreditOfThoseThatAreThere) {
  ToldDemands told;
  told["old"].demand.allowed = 1000;
  told["old"].demand.taken = 1500;
  told["old"].beat = 7;
  BudgetDemand own;
  own.allowed = 50;
  BudgetShares shares("new");
  absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  const auto first = shares.Hear(told, own, now, kPeriod);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->share, 0.5);
  // It may be dead.
  EXPECT_EQ(first->credit_correction, 0);
  told["old"].beat = 8;
  const auto second = shares.Hear(told, own, now += kPeriod, kPeriod);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->credit_correction, -550);
}

TEST(BudgetSharesTest, WhoIsThereDoesNotTakeOverTheCreditOfWhoComes) {
  ToldDemands told;
  BudgetDemand own;
  own.allowed = 1000;
  own.taken = 1500;
  BudgetShares shares("old");
  absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  for (int i = 0; i < 100; ++i) shares.Hear(told, own, now += kPeriod, kPeriod);
  told["new"].demand.allowed = 50;
  for (int64_t beat = 1; beat < 3; ++beat) {
    told["new"].beat = beat;
    const auto heard = shares.Hear(told, own, now += kPeriod, kPeriod);
    ASSERT_TRUE(heard.has_value());
    EXPECT_LT(heard->credit_correction, 20);
  }
}

TEST(BudgetSharesTest, InSlowRoundsTheLivingLiveAndTheDeadDie) {
  for (const absl::Duration round : {absl::Seconds(1.1), absl::Seconds(6.4)}) {
    ToldDemands told;
    BudgetShares shares("own");
    CounterRandom random(5, 0);
    absl::Time now = absl::UnixEpoch() + absl::Hours(1);
    double share = 1;
    const auto hear = [&] {
      const auto heard = shares.Hear(told, {}, now += round, round);
      if (heard.has_value()) share = heard->share;
    };
    for (int i = 1; i <= 100; ++i) {
      // Now and then it tells just after, and so is not heard of for two rounds.
      told["dies"].beat = told["lives"].beat = random.Below(4) == 0 ? i - 1 : i;
      hear();
      EXPECT_NEAR(share, 1.0 / 3, 0.01) << i;
    }
    for (int i = 1; i <= 12; ++i) {
      told["lives"].beat = 100 + i;
      hear();
    }
    EXPECT_NEAR(share, 0.5, 0.01) << round;
    for (int i = 1; i <= 6; ++i) hear();
    EXPECT_EQ(share, 1) << round;
  }
}

TEST(BudgetSharesTest, WhatIsToldOfABudgetThatWasSetAgainCountsFromZero) {
  ToldDemands told;
  BudgetShares shares("own");
  absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  ToldDemand& other = told["other"];
  other.beat = 5;
  other.demand.settled = 100;
  shares.Hear(told, {}, now += kPeriod, kPeriod);
  other.beat = 6;
  other.demand.settled = 120;
  auto heard = shares.Hear(told, {}, now += kPeriod, kPeriod);
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(heard->spent_elsewhere, 20);
  other.beat = 7;
  other.generation = 7;
  other.demand.settled = 3;
  heard = shares.Hear(told, {}, now += kPeriod, kPeriod);
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(heard->spent_elsewhere, 3);
}

TEST(BudgetSharesTest, HostileRowsAreBounded) {
  BudgetShares shares("own");
  ToldDemands told;
  for (int i = 0; i < 4000; ++i) told["router" + std::to_string(i)].beat = 1;
  const auto heard = shares.Hear(told, {}, absl::UnixEpoch(), kPeriod);
  ASSERT_TRUE(heard.has_value());
  EXPECT_DOUBLE_EQ(heard->share, 1.0 / (BudgetShares::kMostRouters + 1));
}

TEST(ToldDemandTest, ComesBackAsItWasTold) {
  ToldDemand told;
  told.beat = 12;
  told.demand = {7, 5, 1234.5, 2.25, 1e9, 3, absl::FromUnixMillis(1'700'000'000'123)};
  StoreFields fields;
  for (const StoreField& field : FieldsOf("0a1b-77", told)) fields[field.field] = field.value;
  fields["strange"] = 5;
  ToldDemands read;
  MergeFields(fields, read);
  ASSERT_EQ(read.count("0a1b-77"), 1u);
  const ToldDemand& back = read["0a1b-77"];
  EXPECT_EQ(back.beat, 12);
  EXPECT_EQ(back.demand.arrivals, 7u);
  EXPECT_EQ(back.demand.decisions, 5u);
  EXPECT_EQ(back.demand.wanted, 1234.5);
  EXPECT_EQ(back.demand.settled, 2.25);
  EXPECT_EQ(back.demand.allowed, 1e9);
  EXPECT_EQ(back.demand.taken, 3);
  EXPECT_EQ(back.demand.started, told.demand.started);
  EXPECT_EQ(read.size(), 1u);
}

TEST(ToldDemandTest, OfTwoWindowsTheLaterRowCounts) {
  ToldDemand late, early;
  early.beat = 3;
  early.demand.arrivals = 3;
  late.beat = 4;
  late.demand.arrivals = 4;
  const auto fields = [](const ToldDemand& told) {
    StoreFields fields;
    for (const StoreField& field : FieldsOf("r", told)) fields[field.field] = field.value;
    return fields;
  };
  ToldDemands read;
  MergeFields(fields(late), read);
  MergeFields(fields(early), read);
  EXPECT_EQ(read["r"].demand.arrivals, 4u);
}

TEST(ToldDemandTest, OfTwoGenerationsTheLaterCountsWhole) {
  ToldDemand old, again;
  old.beat = 9;
  old.demand.settled = 100;
  again.beat = 10;
  again.generation = 10;
  again.demand.settled = 3;
  StoreFields fields;
  for (const ToldDemand& told : {old, again}) {
    for (const StoreField& field : FieldsOf("r", told)) fields[field.field] = field.value;
  }
  for (const char* strange : {"r/.b", "r/x.b", "r.b", "/.b"}) fields[strange] = 99;
  fields["negative/1.a"] = -5;  // as 64 bits it would be the most arrivals that there are
  ToldDemands read;
  MergeFields(fields, read);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read["r"].beat, 10);
  EXPECT_EQ(read["r"].generation, 10);
  EXPECT_EQ(read["r"].demand.settled, 3);
}

TEST(ToldDemandTest, NamesOfBudgetsDiffer) {
  EXPECT_NE(TotalsName({"a:b", "c"}), TotalsName({"a", "b:c"}));
}

}  // namespace
}  // namespace penstock::router
