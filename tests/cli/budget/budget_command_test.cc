// `penstock budget` of the built binary against a server of this process.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "penstock/v1/routing.grpc.pb.h"
#include "tests/integration/process.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Keeps what is set; has usage of two hours, a row a page.
class Budgets final : public v1::Routing::Service {
 public:
  grpc::Status GetBudget(grpc::ServerContext*, const v1::GetBudgetRequest* request,
                         v1::GetBudgetResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!request->all()) return {grpc::StatusCode::INVALID_ARGUMENT, "wanted all"};
    if (request->tenant() == "secret") return {grpc::StatusCode::PERMISSION_DENIED, "not yours"};
    ++looks_;
    for (const v1::SetBudgetRequest& set : set_) {
      v1::BudgetStatus& status = *response->add_budgets();
      status.set_pool(set.pool());
      *status.mutable_budget() = set.budget();
      status.set_spent(looks_);
    }
    return grpc::Status::OK;
  }
  grpc::Status SetBudget(grpc::ServerContext*, const v1::SetBudgetRequest* request,
                         v1::SetBudgetResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    set_.push_back(*request);
    response->set_sharing(sharing_);
    if (sharing_ == v1::SetBudgetResponse::PENDING) response->set_pending_because("nobody listens");
    return grpc::Status::OK;
  }
  grpc::Status GetUsage(grpc::ServerContext*, const v1::GetUsageRequest* request,
                        v1::GetUsageResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    asked_ = *request;
    const bool second = request->page_token() == "second";
    v1::TenantUsage& row = *response->add_usage();
    row.mutable_hour()->set_seconds(second ? 3600 : 0);
    row.set_tenant("acme");
    row.set_pool("chat");
    row.set_requests(second ? 2 : 1);
    row.set_microdollars(1'500'000);
    if (!second) response->set_next_page_token("second");
    response->set_shared(shared_);
    return grpc::Status::OK;
  }

  std::mutex mutex_;
  std::vector<v1::SetBudgetRequest> set_;
  v1::SetBudgetResponse::Sharing sharing_ = v1::SetBudgetResponse::SHARED;
  int looks_ = 0;
  v1::GetUsageRequest asked_;
  bool shared_ = true;
};

class BudgetCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&budgets_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  int Budget(std::vector<std::string> arguments, bool with_target = true) {
    arguments.insert(arguments.begin(), {std::string(PENSTOCK_BIN_DIR) + "/penstock", "budget"});
    if (with_target) arguments.insert(arguments.end(), {"--target", address_});
    return RunCommand(arguments, output_);
  }

  Budgets budgets_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_, output_;
};

TEST_F(BudgetCommandTest, HelpTeachesEachCommand) {
  EXPECT_EQ(Budget({"--help"}, false), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("get"), HasSubstr("set"), HasSubstr("watch"),
                             HasSubstr("export"), HasSubstr("penstock budget set --tenant acme")));
  const std::map<std::string, std::vector<std::string>> options = {
      {"get", {"--pool", "--tenant", "--json", "--target", "--router"}},
      {"set", {"--pool", "--tenant", "--resource", "--amount", "--per", "--hard", "--json"}},
      {"watch", {"--interval_s", "--all", "--rounds", "--pool", "--tenant"}},
      {"export", {"--from", "--to", "--format", "--tenant", "--pool", "--per", "metered_joules"}}};
  for (const auto& [command, named] : options) {
    EXPECT_EQ(Budget({command, "--help"}, false), 0);
    for (const std::string& option : named) EXPECT_THAT(output_, HasSubstr(option)) << command;
  }
  EXPECT_NE(Budget({}, false), 0);
}

TEST_F(BudgetCommandTest, SetSendsTheBudgetAndSaysWhereItHolds) {
  EXPECT_EQ(Budget({"set", "--pool", "chat", "--tenant", "acme", "--resource", "Dollars",
                    "--amount", "20", "--per", "day", "--hard"}),
            0)
      << output_;
  EXPECT_THAT(output_, AllOf(HasSubstr("set: 20 dollars per day of tenant acme in pool chat, hard"),
                             HasSubstr("in the store")));
  ASSERT_EQ(budgets_.set_.size(), 1u);
  EXPECT_EQ(budgets_.set_[0].pool(), "chat");
  EXPECT_EQ(budgets_.set_[0].budget().tenant(), "acme");
  EXPECT_EQ(budgets_.set_[0].budget().resource(), config::v1::Budget::DOLLARS);
  EXPECT_EQ(budgets_.set_[0].budget().per(), config::v1::Budget::DAY);
  EXPECT_EQ(budgets_.set_[0].budget().amount(), 20);
  EXPECT_TRUE(budgets_.set_[0].budget().hard());

  budgets_.sharing_ = v1::SetBudgetResponse::NOT_SHARED;
  EXPECT_EQ(Budget({"set", "--resource", "joules", "--amount", "0", "--per", "hour"}), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("removed: "), HasSubstr("until they restart")));
  budgets_.sharing_ = v1::SetBudgetResponse::PENDING;
  EXPECT_EQ(Budget({"set", "--resource", "joules", "--amount", "5", "--per", "hour"}), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("warning: "), HasSubstr("nobody listens")));
}

TEST_F(BudgetCommandTest, SetSaysWhatIsMissingOrOutOfRange) {
  EXPECT_NE(Budget({"set", "--resource", "joules", "--amount", "5"}), 0);
  EXPECT_THAT(output_, HasSubstr("--per"));
  EXPECT_NE(Budget({"set", "--resource", "watts", "--amount", "5", "--per", "hour"}), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("--resource"), HasSubstr("watts"), HasSubstr("joules")));
  EXPECT_NE(Budget({"set", "--resource", "joules", "--amount", "-5", "--per", "hour"}), 0);
  EXPECT_THAT(output_, HasSubstr("--amount"));
  EXPECT_TRUE(budgets_.set_.empty());
}

TEST_F(BudgetCommandTest, GetShowsATableOrJson) {
  ASSERT_EQ(
      Budget({"set", "--pool", "chat", "--resource", "joules", "--amount", "7", "--per", "hour"}),
      0);
  EXPECT_EQ(Budget({"get"}), 0) << output_;
  EXPECT_THAT(output_, AllOf(HasSubstr("pool"), HasSubstr("chat"), HasSubstr("joules"),
                             HasSubstr("(all)"), HasSubstr("remaining")));
  EXPECT_EQ(Budget({"get", "--json"}), 0);
  const auto json = nlohmann::json::parse(output_);
  EXPECT_EQ(json["budgets"][0]["budget"]["amount"], 7);
  EXPECT_EQ(Budget({"get", "--tenant", "secret"}), 1);
  EXPECT_THAT(output_, HasSubstr("error: PERMISSION_DENIED: not yours"));
}

TEST_F(BudgetCommandTest, WatchPrintsALineAChange) {
  ASSERT_EQ(
      Budget({"set", "--pool", "chat", "--resource", "joules", "--amount", "7", "--per", "hour"}),
      0);
  EXPECT_EQ(Budget({"watch", "--rounds", "3", "--interval_s", "0.05"}), 0) << output_;
  EXPECT_THAT(output_, StartsWith("time\tpool\ttenant\t"));
  EXPECT_EQ(std::count(output_.begin(), output_.end(), '\n'), 4);
  EXPECT_THAT(output_, HasSubstr("\tchat\t\tjoules\thour\t7\t0\t"));
}

TEST_F(BudgetCommandTest, ExportReadsAllPages) {
  EXPECT_EQ(Budget({"export", "--from", "1970-01-01", "--to", "1970-01-02", "--pool", "chat",
                    "--tenant", "acme"}),
            0)
      << output_;
  EXPECT_EQ(output_,
            "start,end,tenant,pool,others,requests,metered_joules,modelled_joules,"
            "accelerator_seconds,dollars\n"
            "1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,acme,chat,0,1,0.000000,0.000000,0.000000,"
            "1.500000\n"
            "1970-01-01T01:00:00Z,1970-01-01T02:00:00Z,acme,chat,0,2,0.000000,0.000000,0.000000,"
            "1.500000\n");
  EXPECT_EQ(budgets_.asked_.from().seconds(), 0);
  EXPECT_EQ(budgets_.asked_.to().seconds(), 24 * 3600);
  EXPECT_EQ(budgets_.asked_.pool(), "chat");
  EXPECT_EQ(budgets_.asked_.tenant(), "acme");

  EXPECT_EQ(Budget({"export", "--from", "1970-01-01", "--to", "1970-01-02", "--format", "json",
                    "--per", "total"}),
            0);
  const auto json = nlohmann::json::parse(output_);
  EXPECT_EQ(json["usage"][0]["requests"], 3);
  EXPECT_EQ(json["usage"][0]["microdollars"], 3'000'000);
}

TEST_F(BudgetCommandTest, ExportOfOneRouterSaysSo) {
  budgets_.shared_ = false;
  EXPECT_EQ(Budget({"export", "--from", "1970-01-01", "--to", "1970-01-02"}), 0);
  EXPECT_THAT(output_, HasSubstr("note: the usage of one router alone"));
}

TEST_F(BudgetCommandTest, ExportNamesWhatIsWrong) {
  EXPECT_EQ(Budget({"export", "--from", "yesterday"}), 1);
  EXPECT_THAT(output_, AllOf(StartsWith("error: INVALID_ARGUMENT: --from: wanted a day"),
                             HasSubstr("yesterday")));
  EXPECT_EQ(Budget({"export", "--from", "now", "--to", "1h"}), 1);
  EXPECT_THAT(output_, HasSubstr("--to: wanted a time after --from"));
  EXPECT_NE(Budget({"export", "--format", "xml"}), 0);
  EXPECT_THAT(output_, HasSubstr("--format"));
}

}  // namespace
}  // namespace penstock
