#include "router_service/pools/pool.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/endpoint_names.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "common/tensors/datatype.h"
#include "router_service/combining/row_scatter.h"
#include "router_service/pools/cacheable.h"
#include "router_service/pools/expert_parameters.h"
#include "router_service/pools/pool_load.h"
#include "router_service/pools/pool_shadow.h"
#include "router_service/resilience/resilience_options.h"

namespace penstock::router {
namespace {

absl::Status Bad(const config::v1::Pool& pool, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat("pool ", pool.name(), ": ", detail));
}

absl::Status ValidateExperts(const config::v1::Pool& pool, bool has_in_process_expert) {
  if (pool.experts().empty()) return Bad(pool, "experts: wanted at least one");
  std::set<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) {
    if (expert.name().empty()) return Bad(pool, "experts: name is empty");
    if (expert.name().find(',') != std::string::npos) {
      return Bad(pool, absl::StrCat("expert ", expert.name(), ": a name has no comma"));
    }
    if (!names.insert(expert.name()).second) {
      return Bad(pool, absl::StrCat("expert ", expert.name(), " is there twice"));
    }
    if (expert.has_quality() && !(expert.quality() >= 0 && expert.quality() <= 1)) {
      return Bad(pool, absl::StrCat("expert ", expert.name(), ": quality is ", expert.quality(),
                                    ", wanted [0, 1]"));
    }
    if (!(expert.joules_per_row() >= 0) || !(expert.latency_ms() >= 0)) {
      return Bad(pool, absl::StrCat("expert ", expert.name(),
                                    ": joules_per_row and latency_ms are not negative"));
    }
    if (expert.has_largest_joules_per_row()) {
      const double largest = expert.largest_joules_per_row();
      if (!std::isfinite(largest) || !(largest > 0) || largest < expert.joules_per_row()) {
        return Bad(pool, absl::StrCat("expert ", expert.name(), ": largest_joules_per_row is ",
                                      largest, ", wanted a finite number above 0 and of at least ",
                                      "joules_per_row, which is ", expert.joules_per_row()));
      }
    }
    const config::v1::DollarPrice& dollars = expert.dollars();
    for (const double price :
         {dollars.per_request(), dollars.per_row(), dollars.per_accelerator_second()}) {
      if (std::isfinite(price) && price >= 0) continue;
      return Bad(pool, absl::StrCat("expert ", expert.name(), ": dollars has ", price,
                                    ", wanted finite prices of at least 0"));
    }
    if (absl::Status status = ValidateParameters(expert); !status.ok()) {
      return Bad(pool, status.message());
    }
    if (expert.replicas().empty() && !has_in_process_expert) {
      return Bad(pool, absl::StrCat("expert ", expert.name(),
                                    ": replicas: wanted at least one, because no expert service "
                                    "runs in this process"));
    }
    for (const config::v1::Endpoint& replica : expert.replicas()) {
      if (replica.address().empty()) {
        return Bad(pool, absl::StrCat("expert ", expert.name(), ": replicas: address is empty"));
      }
      if (const absl::Status status = EndpointNames::Check(replica.address()); !status.ok()) {
        return Bad(pool, absl::StrCat("expert ", expert.name(), ": replicas: ", status.message()));
      }
      if (replica.address() == kInProcessExpert && !has_in_process_expert) {
        return Bad(pool, absl::StrCat("expert ", expert.name(), ": replicas: ", kInProcessExpert,
                                      ": no expert service runs in this process"));
      }
    }
  }
  if (!pool.cascade().first().empty()) {
    if (names.count(pool.cascade().first()) == 0) {
      return Bad(pool, absl::StrCat("cascade.first is ", pool.cascade().first(), ", experts are ",
                                    absl::StrJoin(names, ", ")));
    }
    if (pool.cascade().file().empty()) return Bad(pool, "cascade.file is empty");
    if (pool.granularity() == config::v1::Pool::ROW) {
      return Bad(pool, "cascade: wanted granularity REQUEST");
    }
  }
  return absl::OkStatus();
}

// The expert whose second opinion `slow_check` asks for is the one that the file knows.
absl::Status CheckSlowCheck(const config::v1::Pool& pool, const std::vector<std::string>& names,
                            const CascadeQuality& cascade) {
  const std::string& verifier = pool.cascade().slow_check().verifier();
  if (cascade.begins_with()) {
    return Bad(pool, "cascade.slow_check is set, but cascade.file decides at no price");
  }
  if (cascade.slow() == nullptr) {
    return Bad(pool, "cascade.slow_check is set, but cascade.file knows no verifier: train it with "
                     "one (penstock train --verifier)");
  }
  const std::string& known = names[cascade.slow()->verifier()];
  if (verifier != known || verifier == pool.cascade().first()) {
    return Bad(pool, absl::StrCat("cascade.slow_check.verifier is \"", verifier,
                                  "\", but cascade.file knows ", known,
                                  " to verify, after cascade.first ", pool.cascade().first()));
  }
  return absl::OkStatus();
}

// `made`, where a tensor is wrong with the file that it is of.
template <typename T>
absl::StatusOr<T> OfFile(const std::string& path, absl::StatusOr<T> made) {
  if (made.ok() || path.empty() || !absl::StartsWith(made.status().message(), "tensor '")) {
    return made;
  }
  return absl::Status(made.status().code(), absl::StrCat(path, ": ", made.status().message()));
}

// Opens the cascade's file and what is to be said of it.
absl::Status ReadCascade(const config::v1::Pool& pool, const std::vector<std::string>& names,
                         size_t dimension, PoolRooms& rooms) {
  PENSTOCK_ASSIGN_OR_RETURN(
      rooms.cascade,
      OfFile(pool.cascade().file(),
             CascadeQuality::Open(pool.cascade().file(), names,
                                  {dimension, FeaturesMetadata(pool.features())})));
  const CascadeQuality& cascade = *rooms.cascade;
  const size_t first = static_cast<size_t>(
      std::find(names.begin(), names.end(), pool.cascade().first()) - names.begin());
  if (!cascade.CanStand(first) && cascade.bypass() == nullptr) {
    return Bad(pool, absl::StrCat("cascade.first is ", pool.cascade().first(),
                                  ", but cascade.file knows nothing of its confidence"));
  }
  if (cascade.begins_with() && *cascade.begins_with() != first) {
    return Bad(pool, absl::StrCat("cascade.first is ", pool.cascade().first(),
                                  ", but cascade.file was calibrated to begin with ",
                                  names[*cascade.begins_with()]));
  }
  if (cascade.bypass() != nullptr && cascade.bypass()->dimension() != dimension) {
    return Bad(pool, absl::StrCat("cascade.file reads ", cascade.bypass()->dimension(),
                                  " features, but the pool's have ", dimension));
  }
  const auto refusals = cascade.refusals();
  rooms.warnings.insert(rooms.warnings.end(), refusals.begin(), refusals.end());
  if (!pool.cascade().has_slow_check()) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(CheckSlowCheck(pool, names, cascade));
  if (!cascade.slow()->Knows(first)) {
    rooms.warnings.push_back(absl::StrCat("cascade.file knows too little of ",
                                          pool.cascade().first(), " and ",
                                          pool.cascade().slow_check().verifier(),
                                          " together: no second opinion is asked for"));
  }
  return absl::OkStatus();
}

absl::Status ValidateClasses(const config::v1::Pool& pool) {
  for (const auto& [name, item] : pool.classes()) {
    const std::string& objective = item.objective();
    if (!objective.empty() && objective != "quality" && objective != "energy" &&
        objective != "latency") {
      return Bad(pool, absl::StrCat("classes.", name, ".objective is ", objective,
                                    ", wanted quality, energy or latency"));
    }
    if (!(item.latency_budget_ms() >= 0) || !(item.energy_budget_j() >= 0)) {
      return Bad(pool, absl::StrCat("classes.", name, ": budgets are not negative"));
    }
    if (!(item.min_quality() >= 0 && item.min_quality() <= 1)) {
      return Bad(pool, absl::StrCat("classes.", name, ".min_quality: wanted [0, 1]"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateTensors(const config::v1::Pool& pool) {
  if (pool.inputs().empty() != pool.outputs().empty()) {
    return Bad(pool, "inputs and outputs: wanted both or neither");
  }
  for (const auto* specs : {&pool.inputs(), &pool.outputs()}) {
    std::set<std::string> names;
    for (const config::v1::TensorSpec& spec : *specs) {
      if (spec.name().empty() || !names.insert(spec.name()).second) {
        return Bad(pool, absl::StrCat("tensor name \"", spec.name(), "\" is empty or there twice"));
      }
      if (absl::Status status = ParseDataType(spec.datatype()).status(); !status.ok()) {
        return Bad(pool, absl::StrCat("tensor ", spec.name(), ": ", status.message()));
      }
    }
  }
  return absl::OkStatus();
}

std::vector<config::v1::TensorSpec> SpecsOf(const PoolContract& contract) {
  std::vector<config::v1::TensorSpec> specs;
  for (const PoolContract::Tensor& tensor : contract.inputs) {
    config::v1::TensorSpec& spec = specs.emplace_back();
    spec.set_name(tensor.name);
    spec.set_datatype(tensor.datatype);
    for (const int64_t size : tensor.shape) spec.add_shape(size);
  }
  return specs;
}

}  // namespace

bool PoolExpert::healthy() const {
  return std::any_of(replicas.begin(), replicas.end(),
                     [](const std::shared_ptr<Replica>& replica) { return replica->healthy(); });
}

bool PoolExpert::available() const {
  return std::any_of(replicas.begin(), replicas.end(),
                     [](const std::shared_ptr<Replica>& replica) { return replica->available(); });
}

bool PoolRecord::TakeRetry(absl::Time now) {
  if (retries == nullptr || retries->TryTake(now)) return true;
  resilience.Retried(RetryResult::kNoBudget);
  return false;
}

bool Pool::ready() const {
  return rooms != nullptr &&
         std::any_of(experts.begin(), experts.end(), [](const PoolExpert& expert) {
           return expert.admitted && expert.healthy();
         });
}

std::string Pool::NotReadyBecause() const {
  if (!unusable_because.empty()) return unusable_because;
  std::string out;
  for (const PoolExpert& expert : experts) {
    absl::StrAppend(&out, out.empty() ? "" : "; ", "expert ", expert.name, ": ",
                    !expert.admitted   ? expert.left_out_because
                    : expert.healthy() ? "breaker open"
                                       : "no healthy replica");
  }
  return out;
}

absl::Status Pool::NotReady() const {
  return absl::UnavailableError(
      absl::StrCat("pool ", name(), unusable_because.empty() ? " is loading: " : " is not ready: ",
                   NotReadyBecause()));
}

std::optional<size_t> Pool::FindExpert(absl::string_view expert) const {
  for (size_t i = 0; i < expert_names.size(); ++i) {
    if (expert_names[i] == expert) return i;
  }
  return std::nullopt;
}

std::string Pool::AnswerVersionNow() const {
  if (rooms == nullptr || rooms->answer_version.empty()) return "";
  std::string text = rooms->answer_version;
  for (const PoolExpert& expert : experts) {
    std::set<std::string> served;
    for (const auto& content : expert.contents) served.insert(content->digest());
    absl::StrAppend(&text, "\n", expert.name, "=", absl::StrJoin(served, ","));
  }
  return Sha256Hex(text);
}

int64_t Pool::max_rows() const {
  int64_t most = 0;
  for (const PoolExpert& expert : experts) {
    if (!expert.admitted) continue;
    if (expert.max_rows == 0) return 0;
    most = std::max(most, expert.max_rows);
  }
  return most;
}

int64_t Pool::row_limit() const {
  const int64_t most = by_row() ? 0 : max_rows();
  return most > 0 ? std::min(most, kMostRows) : kMostRows;
}

absl::Status ValidatePool(const config::v1::Pool& pool, bool has_in_process_expert) {
  if (pool.name().empty()) return absl::InvalidArgumentError("pools: name is empty");
  PENSTOCK_RETURN_IF_ERROR(ValidateExperts(pool, has_in_process_expert));
  PENSTOCK_RETURN_IF_ERROR(ValidateClasses(pool));
  PENSTOCK_RETURN_IF_ERROR(ValidateTensors(pool));
  PENSTOCK_RETURN_IF_ERROR(ValidateLoadSettings(pool));
  PENSTOCK_RETURN_IF_ERROR(Explorer::Validate(pool));
  if (pool.has_cacheable()) {
    if (const absl::Status status = ReadCacheable(pool).status(); !status.ok()) {
      return Bad(pool, status.message());
    }
  }
  PENSTOCK_RETURN_IF_ERROR(ReplicaChoice::ReadOptions(pool).status());
  PENSTOCK_RETURN_IF_ERROR(Hedging::ReadOptions(pool).status());
  PENSTOCK_RETURN_IF_ERROR(ReadResilience(pool).status());
  const config::v1::Selection& selection = pool.selection();
  if (selection.has_max_experts() &&
      (selection.max_experts() < 1 || selection.max_experts() > 16)) {
    return Bad(pool, absl::StrCat("selection.max_experts is ", selection.max_experts(),
                                  ", wanted [1, 16]"));
  }
  if (selection.has_latency_quantile() &&
      !(selection.latency_quantile() > 0 && selection.latency_quantile() < 1)) {
    return Bad(pool, "selection.latency_quantile: wanted (0, 1)");
  }
  if (selection.has_value() && !(selection.value() > 0)) {
    return Bad(pool, "selection.value: wanted > 0");
  }
  if (pool.cascade().has_max_escalations() &&
      (pool.cascade().max_escalations() < 1 || pool.cascade().max_escalations() > 8)) {
    return Bad(pool, "cascade.max_escalations: wanted [1, 8]");
  }
  const config::v1::SlowCheck& slow = pool.cascade().slow_check();
  if (slow.has_delta() && !(slow.delta() >= 0 && slow.delta() <= 1)) {
    return Bad(pool, absl::StrCat("cascade.slow_check.delta is ", slow.delta(), ", wanted [0, 1]"));
  }
  if (pool.has_min_answers()) {
    if (pool.min_answers() < 1 || pool.min_answers() > 16) {
      return Bad(pool, absl::StrCat("min_answers is ", pool.min_answers(), ", wanted [1, 16]"));
    }
    if (pool.granularity() == config::v1::Pool::ROW || !pool.cascade().first().empty()) {
      return Bad(pool, "min_answers: wanted granularity REQUEST and no cascade");
    }
  }
  if (pool.has_max_in_flight() && (pool.max_in_flight() < 1 || pool.max_in_flight() > 1'000'000)) {
    return Bad(pool, "max_in_flight: wanted [1, 1000000]");
  }
  if (absl::Status status = ValidateShadow(pool); !status.ok()) return Bad(pool, status.message());
  for (const absl::Status& status : {ValidateGuards(pool), ValidateCustomisation(pool)}) {
    if (!status.ok()) return Bad(pool, status.message());
  }
  if (pool.has_planning()) {
    PENSTOCK_RETURN_IF_ERROR(PoolPlanner::ReadOptions(pool).status());
    if (pool.granularity() == config::v1::Pool::ROW) {
      return Bad(pool, "planning: wanted granularity REQUEST");
    }
    if (!pool.cascade().first().empty()) {
      return Bad(pool, "planning: a pool with a cascade has its order of experts already");
    }
    if (pool.has_customisation()) {
      return Bad(pool, "planning: experts of single tenants (customisation) are not planned for");
    }
  } else {
    for (const auto& [name, item] : pool.classes()) {
      if (item.has_plan_energy_j() || item.has_plan_latency_ms() || !item.forbidden().empty()) {
        return Bad(pool, absl::StrCat("classes.", name,
                                      ": plan_energy_j, plan_latency_ms and forbidden need the "
                                      "pool's planning"));
      }
    }
  }
  if (pool.granularity() == config::v1::Pool::ROW) {
    if (!selection.count_file().empty()) {
      return Bad(pool, "selection.count_file: wanted granularity REQUEST");
    }
    if (absl::Status status = CheckRowCombiner(pool.combiner()); !status.ok()) {
      return Bad(pool, status.message());
    }
    if (pool.has_batched() && !pool.batched()) {
      return Bad(pool, "batched: a pool of granularity ROW has a row dimension");
    }
  }
  return absl::OkStatus();
}

namespace {

absl::StatusOr<std::shared_ptr<PoolRooms>> MakeRooms(const config::v1::Pool& pool,
                                                     PoolContract contract) {
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  if (pool.granularity() == config::v1::Pool::ROW && !contract.batched) {
    return Bad(pool, "granularity is ROW, but its tensors have no row dimension");
  }
  if (!pool.combined_output().empty() &&
      contract.FindOutput(pool.combined_output()) == nullptr) {
    return Bad(pool, absl::StrCat("combined_output is ", pool.combined_output(),
                                  ", which is no output"));
  }
  auto rooms = std::make_shared<PoolRooms>();
  if (pool.has_cacheable()) rooms->answer_version = AnswerVersion(pool);
  PENSTOCK_ASSIGN_OR_RETURN(rooms->features,
                            MakeFeatureExtractor(pool.features(), SpecsOf(contract)));
  const size_t dimension = rooms->features->dimension();
  const std::string features = FeaturesMetadata(pool.features());
  PENSTOCK_ASSIGN_OR_RETURN(rooms->versions, ReadArtifactVersions(pool));
  const std::vector<std::string> gate_files = GateFiles(pool.gate());
  PENSTOCK_ASSIGN_OR_RETURN(rooms->gate,
                            OfFile(gate_files.empty() ? "" : gate_files.front(),
                                   MakeGate(pool.gate(), names, dimension, features)));
  PENSTOCK_ASSIGN_OR_RETURN(rooms->quality,
                            OfFile(pool.quality_file(), MakeQualityModel(pool, dimension)));
  const absl::Span<const std::string> of_quality = rooms->quality->warnings();
  rooms->warnings.assign(of_quality.begin(), of_quality.end());
  PENSTOCK_ASSIGN_OR_RETURN(rooms->guards, MakePoolGuards(pool, dimension));
  if (pool.has_customisation()) {
    PENSTOCK_ASSIGN_OR_RETURN(rooms->customisation, Customisation::Create(pool, dimension));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const ArtifactVersions versions, ReadArtifactVersions(pool));
  if (!(versions == rooms->versions)) {
    return Bad(pool, "quality_file or the gate's file was replaced while it was read: try again");
  }
  if (!pool.selection().count_file().empty()) {
    const std::string& file = pool.selection().count_file();
    PENSTOCK_ASSIGN_OR_RETURN(rooms->count,
                              OfFile(file, CountGate::Open(file, dimension, features)));
  }
  if (!pool.cascade().first().empty()) {
    PENSTOCK_RETURN_IF_ERROR(ReadCascade(pool, names, dimension, *rooms));
  }
  absl::StatusOr<std::unique_ptr<const Combiner>> combiner = MakeCombiner(pool);
  if (!combiner.ok()) return Bad(pool, combiner.status().message());
  rooms->combiner = *std::move(combiner);
  rooms->contract = std::move(contract);
  if (pool.has_cacheable() && rooms->answer_version != AnswerVersion(pool)) {
    return Bad(pool, "a file of the pool was replaced while it was read: try again");
  }
  return rooms;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const PoolRooms>> MakePoolRooms(const config::v1::Pool& pool,
                                                               PoolContract contract) {
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<PoolRooms> rooms, MakeRooms(pool, contract));
  if (pool.has_shadow()) {
    auto shadow = MakeRooms(WithShadowLive(pool), std::move(contract));
    if (!shadow.ok()) {
      return absl::Status(shadow.status().code(),
                          absl::StrCat("shadow: ", shadow.status().message()));
    }
    if (pool.shadow().quality_file().empty()) (*shadow)->quality = rooms->quality;
    if (!pool.shadow().has_gate()) (*shadow)->gate = rooms->gate;
    rooms->shadow = *std::move(shadow);
  }
  return std::shared_ptr<const PoolRooms>(std::move(rooms));
}

CostStart StartOf(const config::v1::PoolExpert& expert, const ReplicaFacts* facts,
                  double recorded_joules) {
  CostStart start;
  if (expert.has_slots()) start.slots = expert.slots();
  if (facts != nullptr && facts->description) {
    const v1::ModelDescription& description = *facts->description;
    start.seconds_per_row = std::max(0.0, description.seconds_per_row());
    start.joules_per_request = std::max(0.0, description.joules_per_request());
    start.joules_per_row = std::max(0.0, description.joules_per_row());
  }
  if (!expert.parameters().empty()) {
    // The replica speaks of requests without them.
    if (expert.has_joules_per_row()) start.joules_per_request = start.joules_per_row = 0;
    if (expert.has_latency_ms()) start.seconds_per_row = 0;
  }
  if (start.seconds_per_row == 0) start.seconds_per_request = expert.latency_ms() / 1e3;
  if (start.joules_per_row == 0) start.joules_per_row = expert.joules_per_row();
  if (start.joules_per_row == 0 && start.joules_per_request == 0) {
    start.joules_per_row = recorded_joules;
  }
  return start;
}

}  // namespace penstock::router
