#include "router_service/router_reload.h"

#include <prometheus/registry.h>

#include "common/store/memory_store.h"
#include "router_service/pools/plan_loop.h"
#include "router_service/router_telemetry.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RouterReloadTest : public RouterFixture {
 protected:
  void Begin(const std::string& yaml) {
    Build(yaml);
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
    telemetry_ = std::make_unique<RouterTelemetry>(RouterTelemetry::Deps{
        registry_, config_, *catalogue_, store_, clock_, timers_, *pacer_, nullptr, nullptr,
        *log_});
    plans_ = std::make_unique<PlanLoop>(*catalogue_, [](const Pool&, const AdmissionPlan&) {});
    settings_ = std::make_unique<BudgetSettings>(*pacer_, clock_, 1);
    ASSERT_THAT(settings_->ConfigureAll(config_), IsOk());
    reload_ = std::make_unique<RouterReload>(
        config_, RouterReload::Deps{*catalogue_, *settings_, *plans_, telemetry_.get()});
  }
  absl::StatusOr<PreparedReload> Prepare(const std::string& yaml) {
    config::v1::Router next;
    EXPECT_THAT(ReadYaml(yaml, next), IsOk());
    return reload_->Prepare(next, give_up_);
  }
  std::vector<std::string> Reload(const std::string& yaml) {
    auto prepared = Prepare(yaml);
    EXPECT_THAT(prepared.status(), IsOk());
    if (!prepared.ok()) return {};
    prepared->commit();
    return prepared->changes;
  }
  static std::string WithBudget(double amount) {
    return absl::StrCat(kTwoExperts, "  budgets: [{resource: REQUESTS, per: HOUR, amount: ", amount,
                        ", hard: true}]\n");
  }

  Notification give_up_;
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  MemoryStore store_{clock_};
  std::unique_ptr<RouterTelemetry> telemetry_;
  std::unique_ptr<PlanLoop> plans_;
  std::unique_ptr<BudgetSettings> settings_;
  std::unique_ptr<RouterReload> reload_;
};

TEST_F(RouterReloadTest, RefusesAFieldThatCannotChangeByItsName) {
  Begin(kTwoExperts);
  const auto refused = [&](const std::string& more) {
    return std::string(Prepare(absl::StrCat(more, kTwoExperts)).status().message());
  };
  EXPECT_THAT(refused("seed: 3\n"), HasSubstr("seed: cannot change"));
  EXPECT_THAT(refused("server: {threads: 2}\n"), HasSubstr("server.threads: cannot change"));
  EXPECT_THAT(refused("decision_log: {capacity: 5}\n"), HasSubstr("decision_log.capacity"));
  EXPECT_THAT(refused("learning: OFF\n"), HasSubstr("learning"));
  EXPECT_THAT(refused("trust_plaintext: true\n"), HasSubstr("trust_plaintext"));
}

TEST_F(RouterReloadTest, SaysWhatChanged) {
  Begin(kTwoExperts);
  EXPECT_THAT(Reload(kTwoExperts), IsEmpty());
  EXPECT_THAT(Reload(absl::StrCat(kTwoExperts, "  max_in_flight: 7\n")),
              ElementsAre("pools.pool.max_in_flight"));
}

TEST_F(RouterReloadTest, AnotherAmountKeepsWhatIsSpent) {
  Begin(WithBudget(5));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_THAT(Reload(WithBudget(4)), ElementsAre("pools.pool.budgets"));
  EXPECT_EQ(pacer_->List("pool", "")[0].spent(), 3);
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_THAT(Ask(MakeRequest()).status, StatusIs(StatusCode::kResourceExhausted));
  Reload(kTwoExperts);
  EXPECT_THAT(pacer_->List("pool", ""), IsEmpty());
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
}

TEST_F(RouterReloadTest, ABudgetSetByCallStaysUntilItsEntryChanges) {
  Begin(WithBudget(5));
  config::v1::Budget budget = config_.pools(0).budgets(0);
  budget.set_amount(9);
  ASSERT_THAT(settings_->Set("pool", budget), IsOk());
  Reload(WithBudget(5) + "  max_in_flight: 7\n");
  EXPECT_EQ(pacer_->List("pool", "")[0].budget().amount(), 9);
  Reload(WithBudget(6));
  EXPECT_EQ(pacer_->List("pool", "")[0].budget().amount(), 6);
}

TEST_F(RouterReloadTest, ARefusedOneChangesNoBudget) {
  Begin(WithBudget(5));
  EXPECT_THAT(Prepare(WithBudget(6) + "  selection: {max_experts: 17}\n").status(),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(pacer_->List("pool", "")[0].budget().amount(), 5);
}

TEST_F(RouterReloadTest, PoolsThatComeAreLabelsToo) {
  Begin(kTwoExperts);
  Reload(absl::StrCat(kTwoExperts,
                      "- {name: second, guards: {disagreement: true}, features: "
                      "{text: {parameter: p}}, experts: [{name: big, replicas: "
                      "[{address: 'big:1'}]}]}\n"));
  RouteEvent event;
  event.pool = "second";
  telemetry_->observer().RequestFinished(event);
  event.pool = "never heard of";
  telemetry_->observer().RequestFinished(event);
  std::vector<std::string> labels;
  for (const prometheus::MetricFamily& family : registry_->Collect()) {
    if (family.name != "penstock_router_requests_total") continue;
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& label : metric.label) {
        if (label.name == "pool") labels.push_back(label.value);
      }
    }
  }
  EXPECT_THAT(labels, ::testing::UnorderedElementsAre("second", "other"));
}

}  // namespace
}  // namespace penstock::router
