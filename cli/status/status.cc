#include <CLI/CLI.hpp>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/output/table.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

struct StatusOptions {
  ClientOptions client;
  double interval_s = 1;
  bool once = false;
  bool json = false;
};

constexpr absl::Duration kTimeout = absl::Seconds(5);
// Home, and clear to the end of the screen.
constexpr char kRedraw[] = "\033[H\033[J";

struct Snapshot {
  v1::ListPoolsResponse pools;
  v1::ListExpertsResponse experts;
  std::map<std::string, v1::GetPlanResponse> plans;  // of the pools that plan
};

absl::StatusOr<Snapshot> Fetch(PoolClient& client) {
  Snapshot snapshot;
  grpc::ClientContext pools;
  client.Prepare(pools, kTimeout);
  PENSTOCK_RETURN_IF_ERROR(client.OfRouting(client.routing().ListPools(&pools, {}, &snapshot.pools)));
  grpc::ClientContext experts;
  client.Prepare(experts, kTimeout);
  PENSTOCK_RETURN_IF_ERROR(
      client.OfRouting(client.routing().ListExperts(&experts, {}, &snapshot.experts)));
  for (const v1::PoolStatus& pool : snapshot.pools.pools()) {
    grpc::ClientContext context;
    client.Prepare(context, kTimeout);
    v1::GetPlanRequest request;
    request.set_pool(pool.name());
    v1::GetPlanResponse plan;
    const absl::Status status = client.OfRouting(client.routing().GetPlan(&context, request, &plan));
    if (status.ok()) {
      snapshot.plans.emplace(pool.name(), std::move(plan));
    } else if (!absl::IsFailedPrecondition(status) && !absl::IsUnimplemented(status)) {
      return status;
    }
  }
  return snapshot;
}

std::string Fixed(double value) { return absl::StrFormat("%.2f", value); }
std::string Millijoules(double joules) { return absl::StrFormat("%.3f", 1000 * joules); }

// Whom each class may ask; empty where no pool plans.
std::string PlanText(const Snapshot& snapshot) {
  std::string text;
  for (const auto& [pool, plan] : snapshot.plans) {
    absl::StrAppend(&text, "\nplan ", plan.version(), " of ", pool, ": ", plan.reason());
    if (!plan.verdict().empty()) absl::StrAppend(&text, "; ", plan.verdict());
    absl::StrAppend(&text, "\nawake: ", absl::StrJoin(plan.awake(), ", "));
    if (!plan.asleep().empty()) absl::StrAppend(&text, "; asleep: ", absl::StrJoin(plan.asleep(), ", "));
    text += "\n";
    if (plan.classes().empty()) continue;
    Table classes({"class", "experts", "value", "gap", "J", "ms", "note"});
    for (const v1::ClassPlan& item : plan.classes()) {
      const bool planned = item.value() > 0;
      classes.AddRow({item.application_class().empty() ? "(none)" : item.application_class(),
                      absl::StrJoin(item.experts(), ", "), planned ? Fixed(item.value()) : "",
                      planned ? absl::StrFormat("%.2g", item.gap()) : "",
                      planned ? Fixed(item.energy_j()) : "", planned ? Fixed(item.latency_ms()) : "",
                      item.problem()});
    }
    absl::StrAppend(&text, classes.ToString());
  }
  return text;
}

// "yes", or why requests do not go there.
std::string Condition(const v1::ReplicaStatus& replica) {
  if (!replica.healthy()) return "no";
  if (!replica.breaker().empty() && replica.breaker() != "closed") {
    return absl::StrCat("breaker ", replica.breaker());
  }
  return replica.ejected().empty() ? "yes" : absl::StrCat("ejected: ", replica.ejected());
}

std::string Text(const Snapshot& snapshot) {
  Table pools({"pool", "ready", "in flight", "requests", "failures", "p50 ms", "p99 ms",
               "mJ/request", "price/J"});
  for (const v1::PoolStatus& pool : snapshot.pools.pools()) {
    const double requests = static_cast<double>(std::max<uint64_t>(1, pool.requests()));
    pools.AddRow({pool.name(), pool.ready() ? "yes" : "no", absl::StrCat(pool.in_flight()),
                  absl::StrCat(pool.requests()), absl::StrCat(pool.failures()),
                  Fixed(pool.p50_ms()), Fixed(pool.p99_ms()),
                  Millijoules(pool.energy_j() / requests),
                  absl::StrFormat("%.3g", pool.price_per_joule())});
  }
  Table experts({"pool/expert", "replica", "healthy", "in flight", "requests", "failures",
                 "p50 ms", "p99 ms", "mJ/request", "share %"});
  for (const v1::ExpertStatus& expert : snapshot.experts.experts()) {
    const std::string name = absl::StrCat(expert.pool(), "/", expert.name());
    if (!expert.admitted()) experts.AddRow({name, absl::StrCat("left out: ", expert.left_out_because())});
    for (const v1::ReplicaStatus& replica : expert.replicas()) {
      experts.AddRow({name, replica.address(), Condition(replica),
                      absl::StrCat(replica.in_flight()), absl::StrCat(replica.requests()),
                      absl::StrCat(replica.failures()), Fixed(replica.p50_ms()),
                      Fixed(replica.p99_ms()), Millijoules(expert.energy_j_mean()),
                      absl::StrFormat("%.1f", 100 * expert.share())});
    }
  }
  return absl::StrCat(pools.ToString(), "\n", experts.ToString(), PlanText(snapshot));
}

absl::StatusOr<std::string> Json(const Snapshot& snapshot) {
  google::protobuf::util::JsonPrintOptions format;
  format.preserve_proto_field_names = true;
  format.always_print_primitive_fields = true;
  std::string pools, experts;
  if (!google::protobuf::util::MessageToJsonString(snapshot.pools, &pools, format).ok() ||
      !google::protobuf::util::MessageToJsonString(snapshot.experts, &experts, format).ok()) {
    return absl::InternalError("the status has no JSON form");
  }
  std::string plans;
  for (const auto& [pool, plan] : snapshot.plans) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(plan, &json, format).ok()) {
      return absl::InternalError("a plan has no JSON form");
    }
    absl::StrAppend(&plans, plans.empty() ? "" : ",", nlohmann::json(pool).dump(), ":", json);
  }
  // Two objects of one field each and the plans by pool, as one.
  pools.pop_back();
  experts.pop_back();
  return absl::StrCat(pools, ",", experts.substr(1), ",\"plans\":{", plans, "}}\n");
}

absl::Status RunStatus(const StatusOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.client));
  const bool live = !options.once && !options.json && isatty(STDOUT_FILENO) == 1;
  for (;;) {
    PENSTOCK_ASSIGN_OR_RETURN(const Snapshot snapshot, Fetch(*client));
    if (options.json) {
      PENSTOCK_ASSIGN_OR_RETURN(const std::string json, Json(snapshot));
      std::printf("%s", json.c_str());
    } else {
      std::printf("%s%s", live ? kRedraw : "", Text(snapshot).c_str());
    }
    std::fflush(stdout);
    if (!live) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
  }
}

}  // namespace

void RegisterStatus(CLI::App& app, Run& run) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App& command = *app.add_subcommand(
      "status",
      "Pools, experts and replicas: in flight, latency, joules, shares; live on a terminal.\n"
      "Behind a gateway: of one of its routers; --router asks the router that is meant.");
  AddClientOptions(command, options->client);
  AddRouterOption(command, options->client);
  command.add_option("--interval_s", options->interval_s, "seconds between redraws")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  command.add_flag("--once", options->once, "print once");
  command.add_flag("--json", options->json, "print JSON, once");
  command.callback([options, &run] { run = [options] { return RunStatus(*options); }; });
}

}  // namespace penstock::cli
