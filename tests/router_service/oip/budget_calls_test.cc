#include "router_service/oip/budget_calls.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/store/memory_store.h"
#include "router_service/usage_observer.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kTwoPools[] = R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}]}]
- name: other
  experts: [{name: big, replicas: [{address: "big:1"}]}]
)";

class BudgetCallsTest : public RouterFixture {
 protected:
  void SetUp() override {
    Build(kTwoPools);
    settings_ = std::make_unique<BudgetSettings>(*pacer_, clock_, 1);
    shared_ = std::make_unique<SharedSettings>(
        SharedSettings::Deps{*settings_, store_, clock_, timers_}, SharedSettings::Events());
    counts_ = std::make_unique<UsageCounts>(clock_);
    usage_ =
        std::make_unique<UsagePages>(UsagePages::Deps{*counts_, &ledger_of_usage_, clock_, "me"});
  }
  BudgetCalls Calls(bool shares = true) {
    return BudgetCalls(
        {*catalogue_, *pacer_, *settings_, shares ? shared_.get() : nullptr, *usage_, clock_});
  }
  static CallerIdentity Root(std::vector<std::string> pools = {}) {
    CallerIdentity root{"root", {}};
    root.rights.admin = true;
    root.rights.pools = std::move(pools);
    return root;
  }
  static CallerIdentity Tenant(const std::string& name, std::vector<std::string> pools = {}) {
    CallerIdentity tenant{name, {}};
    tenant.rights.pools = std::move(pools);
    return tenant;
  }
  absl::StatusOr<v1::SetBudgetResponse> Set(const BudgetCalls& calls, const std::string& pool,
                                            const std::string& tenant, double amount = 3,
                                            const CallerIdentity& caller = Root()) {
    v1::SetBudgetRequest request;
    request.set_pool(pool);
    request.mutable_budget()->set_amount(amount);
    request.mutable_budget()->set_per(config::v1::Budget::HOUR);
    request.mutable_budget()->set_tenant(tenant);
    v1::SetBudgetResponse response;
    absl::Status status = absl::UnknownError("did not end");
    calls.Set(caller, request, clock_.Now() + absl::Seconds(5), response,
              [&](const absl::Status& done) { status = done; });
    if (!status.ok()) return status;
    return response;
  }
  absl::StatusOr<int> CountOf(const CallerIdentity& caller, const std::string& pool = "",
                              const std::string& tenant = "") {
    v1::GetBudgetRequest request;
    request.set_all(true);
    request.set_pool(pool);
    request.set_tenant(tenant);
    v1::GetBudgetResponse response;
    const absl::Status status = Calls().Get(caller, request, response);
    if (!status.ok()) return status;
    for (const v1::BudgetStatus& budget : response.budgets()) EXPECT_TRUE(budget.set_by_call());
    return response.budgets_size();
  }
  absl::StatusOr<v1::GetUsageResponse> Usage(const CallerIdentity& caller,
                                             const std::string& pool = "") {
    v1::GetUsageRequest request;
    request.set_pool(pool);
    request.mutable_from()->set_seconds(absl::ToUnixSeconds(clock_.Now()));
    request.mutable_to()->set_seconds(absl::ToUnixSeconds(clock_.Now()) + 1);
    v1::GetUsageResponse response;
    absl::Status status = absl::UnknownError("did not end");
    Calls().GetUsage(caller, request, clock_.Now() + absl::Seconds(5), response,
                     [&](const absl::Status& done) { status = done; });
    if (!status.ok()) return status;
    return response;
  }

  MemoryStore memory_{clock_};
  SwitchedStore store_{memory_};
  UsageLedger ledger_of_usage_{store_};
  std::unique_ptr<BudgetSettings> settings_;
  std::unique_ptr<SharedSettings> shared_;
  std::unique_ptr<UsageCounts> counts_;
  std::unique_ptr<UsagePages> usage_;
};

TEST_F(BudgetCallsTest, SaysWhetherTheSettingIsShared) {
  EXPECT_EQ(Set(Calls(), "pool", "")->sharing(), v1::SetBudgetResponse::SHARED);
  EXPECT_EQ(Set(Calls(false), "pool", "", 4)->sharing(), v1::SetBudgetResponse::NOT_SHARED);
  store_.Fail(absl::UnavailableError("nobody listens"));
  const auto pending = Set(Calls(), "pool", "", 5);
  ASSERT_THAT(pending, IsOk());
  EXPECT_EQ(pending->sharing(), v1::SetBudgetResponse::PENDING);
  EXPECT_THAT(pending->pending_because(), HasSubstr("nobody listens"));
  EXPECT_EQ(pacer_->List("pool", "")[0].budget().amount(), 5);
}

TEST_F(BudgetCallsTest, WhatIsWrongChangesNothing) {
  EXPECT_THAT(Set(Calls(), "pool", "", -1), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Set(Calls(), "nowhere", ""), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Set(Calls(), "pool", "", 1, Root({"other"})),
              StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(settings_->All(), IsEmpty());
}

TEST_F(BudgetCallsTest, WhoAdministersSomePoolsSetsNoBudgetAcrossThem) {
  EXPECT_THAT(Set(Calls(), "", "acme", 1, Root({"pool"})),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("name one")));
  EXPECT_THAT(settings_->All(), IsEmpty());
  EXPECT_THAT(Set(Calls(), "pool", "acme", 1, Root({"pool"})), IsOk());
  EXPECT_THAT(Set(Calls(), "", "acme", 1, Root()), IsOk());
}

TEST_F(BudgetCallsTest, AllBudgetsAreThoseThatTheCallerMaySee) {
  for (const auto& [pool, tenant] : std::vector<std::pair<const char*, const char*>>{
           {"pool", ""}, {"pool", "acme"}, {"pool", "zeta"}, {"other", "acme"}, {"", "acme"}}) {
    ASSERT_THAT(Set(Calls(), pool, tenant), IsOk());
  }
  EXPECT_THAT(CountOf(Root()), IsOkAndHolds(5));
  EXPECT_THAT(CountOf(Root(), "pool"), IsOkAndHolds(3));
  EXPECT_THAT(CountOf(Root(), "", "acme"), IsOkAndHolds(3));
  EXPECT_THAT(CountOf(Root(), "pool", "acme"), IsOkAndHolds(1));
  EXPECT_THAT(CountOf(Tenant("acme")), IsOkAndHolds(4));
  EXPECT_THAT(CountOf(Tenant("acme", {"pool"})), IsOkAndHolds(3));
  EXPECT_THAT(CountOf(Tenant("acme"), "", "zeta"), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(CountOf(Tenant("acme", {"pool"}), "other"), StatusIs(StatusCode::kPermissionDenied));
}

TEST_F(BudgetCallsTest, UsageIsOfThePoolsThatTheCallerAdministers) {
  counts_->Count("pool", "acme", {1, 0, 0}, true);
  counts_->Count("gone", "acme", {1, 0, 0}, true);
  EXPECT_EQ(Usage(Root())->usage_size(), 2);
  EXPECT_EQ(Usage(Root(), "gone")->usage_size(), 1);
  EXPECT_EQ(Usage(Root({"pool"}), "pool")->usage_size(), 1);
  EXPECT_THAT(Usage(Root({"pool"}), "gone"), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(Usage(Root({"pool"})), StatusIs(StatusCode::kPermissionDenied));
}

TEST_F(BudgetCallsTest, UsageWithoutTheStoreIsAnErrorThatNamesIt) {
  store_.Fail(absl::UnavailableError("nobody listens"));
  EXPECT_THAT(Usage(Root()), StatusIs(StatusCode::kUnavailable, HasSubstr("store")));
}

// What a request took, as the pipeline tells it.
class UsageObserverTest : public testing::Test {
 protected:
  void Finish(const char* method, int runs) {
    v1::Decision decision;
    decision.set_tenant("acme");
    decision.set_energy_method(method);
    for (int i = 0; i < runs; ++i) decision.add_runs();
    RouteEvent event;
    event.pool = "pool";
    event.decision = &decision;
    event.taken = {2, 0, 0};
    observer_.RequestFinished(event);
  }

  FakeClock clock_;
  UsageCounts counts_{clock_};
  CountingObserver next_;
  UsageObserver observer_{counts_, next_};
};

TEST_F(UsageObserverTest, CountsRequestsThatAskedAnExpertByHowTheirJoulesAreKnown) {
  for (const char* method : {"counter", "sampled", "modelled", "unknown"}) Finish(method, 1);
  Finish("modelled", 0);
  RouteEvent refused;
  refused.pool = "pool";
  observer_.RequestFinished(refused);
  const auto rows = counts_.Read(HourOf(clock_.Now()));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].key, (UsageKey{"acme", "pool"}));
  EXPECT_EQ(rows[0].totals, (UsageTotals{4, 4'000'000, 4'000'000, 0, 0}));
  EXPECT_EQ(next_.codes.size(), 6u);
}

}  // namespace
}  // namespace penstock::router
