#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/budget/budget_text.h"
#include "cli/budget/usage_export.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/output/message_json.h"
#include "cli/output/table.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);

struct BudgetOptions {
  ClientOptions client;
  std::string pool;
  std::string tenant;
  bool json = false;
  // set
  int resource = config::v1::Budget::JOULES;
  int per = config::v1::Budget::DAY;
  double amount = 0;
  bool hard = false;
  bool bound_tenants = false;
  // watch
  double interval_s = 2;
  bool all = false;
  uint64_t rounds = 0;
  // export
  std::string from = "24h";
  std::string to = "now";
  std::string format = "csv";
  UsageExport::Per per_period = UsageExport::Per::kHour;
};

absl::StatusOr<v1::GetBudgetResponse> Fetch(PoolClient& client, const BudgetOptions& options) {
  grpc::ClientContext context;
  client.Prepare(context, kTimeout);
  v1::GetBudgetRequest request;
  request.set_pool(options.pool);
  request.set_tenant(options.tenant);
  request.set_all(true);
  v1::GetBudgetResponse response;
  PENSTOCK_RETURN_IF_ERROR(
      client.OfRouting(client.routing().GetBudget(&context, request, &response)));
  return response;
}

absl::Status RunGet(const BudgetOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.client));
  PENSTOCK_ASSIGN_OR_RETURN(const v1::GetBudgetResponse response, Fetch(*client, options));
  if (options.json) return PrintJson(response);
  std::printf("%s", BudgetTable(response).c_str());
  return absl::OkStatus();
}

absl::Status RunSet(const BudgetOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.client));
  grpc::ClientContext context;
  client->Prepare(context, kTimeout);
  v1::SetBudgetRequest request;
  request.set_pool(options.pool);
  config::v1::Budget& budget = *request.mutable_budget();
  budget.set_tenant(options.tenant);
  budget.set_resource(static_cast<config::v1::Budget::Resource>(options.resource));
  budget.set_per(static_cast<config::v1::Budget::Per>(options.per));
  budget.set_amount(options.amount);
  budget.set_hard(options.hard);
  budget.set_bound_tenants(options.bound_tenants);
  v1::SetBudgetResponse response;
  PENSTOCK_RETURN_IF_ERROR(
      client->OfRouting(client->routing().SetBudget(&context, request, &response)));
  if (response.sharing() == v1::SetBudgetResponse::PENDING) {
    std::fprintf(stderr,
                 "warning: the routers that were asked have it, but their store did not take it "
                 "(%s).\nThey tell it once it answers, unless all of them end before.\n",
                 response.pending_because().c_str());
  }
  if (options.json) return PrintJson(response);
  const std::string done = budget.amount() == 0 ? "removed: " : "set: ";
  std::printf("%s%s\n", done.c_str(), DescribeBudget(options.pool, budget).c_str());
  if (response.sharing() == v1::SetBudgetResponse::SHARED) {
    std::printf("in the store: every router has it or takes it, also after a restart\n");
  } else if (response.sharing() == v1::SetBudgetResponse::NOT_SHARED) {
    std::printf("the routers share no store: those that were asked have it until they restart\n");
  }
  return absl::OkStatus();
}

absl::Status RunWatch(const BudgetOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.client));
  BudgetChanges changes(options.all);
  bool told = false;
  for (uint64_t round = 0; options.rounds == 0 || round < options.rounds; ++round) {
    if (round > 0) {
      std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
    }
    const absl::StatusOr<v1::GetBudgetResponse> response = Fetch(*client, options);
    if (!response.ok()) {
      // One that never answered is a mistake of the caller's, say a wrong address.
      if (round == 0 || !absl::IsUnavailable(response.status())) return response.status();
      if (!told) {
        std::fprintf(stderr, "warning: %s; trying on\n",
                     std::string(response.status().message()).c_str());
      }
      told = true;
      continue;
    }
    told = false;
    if (round == 0) std::printf("%s", BudgetChanges::Header().c_str());
    std::printf("%s", changes.Look(*response, absl::Now()).c_str());
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

absl::Status RunExport(const BudgetOptions& options) {
  const absl::Time now = absl::Now();
  PENSTOCK_ASSIGN_OR_RETURN(const absl::Time from, ParseTimeOption("--from", options.from, now));
  PENSTOCK_ASSIGN_OR_RETURN(const absl::Time to, ParseTimeOption("--to", options.to, now));
  if (to <= from) {
    return absl::InvalidArgumentError(absl::StrCat("--to: wanted a time after --from, got ",
                                                   options.to, " after ", options.from));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.client));
  v1::GetUsageRequest request;
  request.set_pool(options.pool);
  request.set_tenant(options.tenant);
  const auto set = [](absl::Time time, google::protobuf::Timestamp& field) {
    const int64_t seconds = absl::ToUnixSeconds(time);
    field.set_seconds(seconds);
    field.set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  };
  set(from, *request.mutable_from());
  set(to, *request.mutable_to());
  UsageExport usage(from, to, options.per_period);
  Progress progress("usage", static_cast<size_t>(absl::ToInt64Hours(to - from)) + 1);
  do {
    grpc::ClientContext context;
    client->Prepare(context, kTimeout);
    v1::GetUsageResponse page;
    PENSTOCK_RETURN_IF_ERROR(
        client->OfRouting(client->routing().GetUsage(&context, request, &page)));
    usage.Add(page);
    if (page.usage_size() > 0) {
      const int64_t hour = page.usage(page.usage_size() - 1).hour().seconds();
      progress.Advance(static_cast<size_t>(
          std::max<int64_t>(0, absl::ToInt64Hours(absl::FromUnixSeconds(hour) - from))));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  std::printf("%s", (options.format == "json" ? usage.Json() : usage.Csv()).c_str());
  if (!usage.shared()) {
    std::fprintf(stderr,
                 "note: the usage of one router alone, since it started and of the last 48 hours "
                 "at most: routers that share no store know nothing of each other\n");
  }
  return absl::OkStatus();
}

// `what`: of the options --pool and --tenant.
CLI::App& AddCommand(CLI::App& budget, const char* name, const char* help,
                     const std::shared_ptr<BudgetOptions>& options, const char* pool,
                     const char* tenant) {
  CLI::App& command = *budget.add_subcommand(name, help);
  AddClientOptions(command, options->client);
  AddRouterOption(command, options->client);
  command.add_option("--pool", options->pool, pool);
  command.add_option("--tenant", options->tenant, tenant);
  return command;
}

void AddGet(CLI::App& budget, Run& run) {
  auto options = std::make_shared<BudgetOptions>();
  CLI::App& command = AddCommand(
      budget, "get",
      "All budgets that the caller may see: what is spent of each in its open window, what\n"
      "remains, and its price in units of quality. Behind a gateway: as one of its routers has\n"
      "them; `spent` of a budget that routers share is that of all.",
      options, "of this pool only", "of this tenant only (another's needs the admin right)");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunGet(*options); }; });
}

void AddSet(CLI::App& budget, Run& run) {
  auto options = std::make_shared<BudgetOptions>();
  CLI::App& command = AddCommand(
      budget, "set",
      "Adds or replaces one budget (admin right); amount 0 removes it. A budget is named by pool,\n"
      "tenant, resource and period. It holds at all routers that share a store, and after they\n"
      "restart, until the configuration says something else of it. For example:\n\n"
      "  penstock budget set --pool chat --tenant acme --resource dollars --amount 20 --per day "
      "--hard",
      options, "of this pool; unset: across pools", "of this tenant; unset: what all share");
  command
      .add_option("--resource", options->resource,
                  "joules, requests, accelerator_seconds or dollars")
      ->required()
      ->transform(CLI::CheckedTransformer(ResourceNames(), CLI::ignore_case)
                      .description("{joules,requests,accelerator_seconds,dollars}"));
  command
      .add_option("--amount", options->amount, "how much, in units of the resource; 0: no budget")
      ->required()
      ->check(CLI::NonNegativeNumber);
  command.add_option("--per", options->per, "request (a mean), second, hour or day")
      ->required()
      ->transform(CLI::CheckedTransformer(PeriodNames(), CLI::ignore_case)
                      .description("{request,second,hour,day}"));
  command.add_flag("--hard", options->hard,
                   "refuse requests once it is spent; else the cheapest expert answers them");
  command.add_flag("--bound_tenants", options->bound_tenants,
                   "of joules that tenants share: no tenant takes much more than its part");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunSet(*options); }; });
}

void AddWatch(CLI::App& budget, Run& run) {
  auto options = std::make_shared<BudgetOptions>();
  CLI::App& command = AddCommand(
      budget, "watch",
      "Follows budgets: a line of tab-separated columns for each that changed since the look\n"
      "before, after a header. A budget that was removed has a last line with the amount 0.",
      options, "of this pool only", "of this tenant only (another's needs the admin right)");
  command.add_option("--interval_s", options->interval_s, "seconds between looks")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 3600.0));
  command.add_flag("--all", options->all, "a line for each budget at each look, changed or not");
  command.add_option("--rounds", options->rounds, "looks before it ends; 0: until it is stopped")
      ->capture_default_str();
  command.callback([options, &run] { run = [options] { return RunWatch(*options); }; });
}

void AddExport(CLI::App& budget, Run& run) {
  auto options = std::make_shared<BudgetOptions>();
  CLI::App& command = AddCommand(
      budget, "export",
      "What tenants used, in whole hours, over all routers that share a store (admin right). Kept\n"
      "for 35 days, from an earlier hour is an error; without a store, of one router, since it\n"
      "started. The open hour still grows.\n\n"
      "  penstock budget export --from 2026-11-01 --to 2026-12-01 --per total > november.csv\n\n"
      "CSV: start,end,tenant,pool,others,requests,metered_joules,modelled_joules,\n"
      "accelerator_seconds,dollars; amounts with six digits after the point, exact. JSON has the\n"
      "same as whole millionths (metered_microjoules, ...). `others` is 1 for tenants that a\n"
      "router counted together, beyond 10000 pairs of tenant and pool an hour.",
      options, "of this pool only", "of this tenant only");
  command
      .add_option("--from", options->from,
                  "a day (2026-11-30), a time (2026-11-30T12:00:00Z), or how long ago (24h, 7d)")
      ->capture_default_str();
  command.add_option("--to", options->to, "likewise, or now; not included")->capture_default_str();
  command.add_option("--format", options->format, "csv or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"csv", "json"}));
  command.add_option("--per", options->per_period, "a row for each hour, day (UTC) or total")
      ->transform(CLI::CheckedTransformer(
                      std::map<std::string, UsageExport::Per>{{"hour", UsageExport::Per::kHour},
                                                              {"day", UsageExport::Per::kDay},
                                                              {"total", UsageExport::Per::kTotal}},
                      CLI::ignore_case)
                      .description("{hour,day,total} [hour]"));
  command.callback([options, &run] { run = [options] { return RunExport(*options); }; });
}

}  // namespace

void RegisterBudget(CLI::App& app, Run& run) {
  CLI::App& budget = *app.add_subcommand(
      "budget",
      "Budgets of pools and tenants: get, set, watch, and export of what was used.\n\n"
      "  penstock budget get --pool chat\n"
      "  penstock budget set --tenant acme --resource dollars --amount 20 --per day --hard\n"
      "  penstock budget export --from 7d --per day\n");
  budget.require_subcommand(1);
  AddGet(budget, run);
  AddSet(budget, run);
  AddWatch(budget, run);
  AddExport(budget, run);
}

}  // namespace penstock::cli
