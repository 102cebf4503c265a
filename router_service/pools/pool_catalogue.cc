#include "router_service/pools/pool_catalogue.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/sparse/validate_gate.h"
#include "router_service/pools/expert_parameters.h"
#include "router_service/pools/pool_files.h"
#include "router_service/pools/pool_shadow.h"

namespace penstock::router {
namespace {

constexpr absl::Duration kAskTimeout = absl::Seconds(2);
// Quick at first, because services of one platform start together; an expert that is left out or down
// for long is asked every two seconds.
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(2);
// How long pools wait for each other before those that are ready serve alone.
constexpr absl::Duration kPatience = absl::Seconds(10);

absl::Duration PauseAfter(size_t attempts) {
  return std::min(kLongestPause, kFirstPause * (1 << std::min<size_t>(attempts, 6)));
}

absl::Status CheckCount(const std::string& path, bool said, uint32_t got, int experts) {
  if (!said || (got >= 1 && got <= static_cast<uint32_t>(experts))) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": wanted 1 to ", experts, ", got ", got));
}

// How many experts a request may have, against how many there are. A contract that only the experts know
// does not put it off.
absl::Status CheckCounts(const std::string& path, const config::v1::Pool& pool) {
  const int experts = pool.experts_size();
  const config::v1::Selection& selection = pool.selection();
  const config::v1::TopkSoftmax& topk = pool.gate().topk_softmax();
  const config::v1::RandomGate& random = pool.gate().random();
  PENSTOCK_RETURN_IF_ERROR(CheckCount(path + ".selection.max_experts", selection.has_max_experts(),
                                      selection.max_experts(), experts));
  PENSTOCK_RETURN_IF_ERROR(
      CheckCount(path + ".gate.topk_softmax.k", topk.has_k(), topk.k(), experts));
  PENSTOCK_RETURN_IF_ERROR(
      CheckCount(path + ".gate.random.k", random.has_k(), random.k(), experts));
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  return ValidateGate(path + ".gate", pool.gate(), names);
}

}  // namespace

absl::StatusOr<std::shared_ptr<PoolCatalogue>> PoolCatalogue::Create(
    const config::v1::Router& config, bool has_in_process_expert, Timers& timers,
    const Clock& clock, ReplicaConnector& connector) {
  if (config.pools().empty()) {
    return absl::InvalidArgumentError("pools: wanted at least one, got none");
  }
  std::shared_ptr<PoolCatalogue> catalogue(
      new PoolCatalogue(config.learning() == config::v1::Router::ON, timers, clock));
  std::set<std::string> names;
  for (const config::v1::Pool& pool : config.pools()) {
    if (!names.insert(pool.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("pools: ", pool.name(), " is there twice"));
    }
    PENSTOCK_RETURN_IF_ERROR(ValidatePool(pool, has_in_process_expert));
    PENSTOCK_RETURN_IF_ERROR(CheckCounts(absl::StrCat("pools[", names.size() - 1, "]"), pool));
    PENSTOCK_RETURN_IF_ERROR(catalogue->Add(pool, connector));
  }
  return catalogue;
}

absl::Status PoolCatalogue::Add(const config::v1::Pool& config, ReplicaConnector& connector) {
  auto pool = std::make_shared<Pool>();
  pool->config = config;
  std::vector<CostStart> starts;
  for (const config::v1::PoolExpert& item : config.experts()) {
    PoolExpert expert;
    expert.name = item.name();
    expert.model = item.model().empty() ? item.name() : item.model();
    expert.version = item.version();
    expert.parameters = ExpertParameters(item);
    expert.left_out_because = "it has not said yet what it serves";
    std::vector<config::v1::Endpoint> endpoints(item.replicas().begin(), item.replicas().end());
    if (endpoints.empty()) endpoints.emplace_back().set_address(kInProcessExpert);
    for (const config::v1::Endpoint& endpoint : endpoints) {
      auto connection = connector.Connect(endpoint);
      if (!connection.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("pool ", config.name(), ": expert ",
                                                       item.name(), ": ",
                                                       connection.status().message()));
      }
      expert.replicas.push_back(std::make_shared<Replica>((*connection)->target()));
      expert.connections.push_back(*std::move(connection));
    }
    pool->expert_names.push_back(expert.name);
    pool->experts.push_back(std::move(expert));
    starts.push_back(StartOf(item, nullptr));
  }
  std::set<std::string> class_names;
  for (const auto& [name, unused] : config.classes()) class_names.insert(name);
  for (const std::string& name : class_names) {
    const size_t next = pool->classes.size() + 1;
    pool->classes.emplace(name, next);
  }
  CostModel::Options options;
  options.learning = learning_;
  if (config.selection().has_latency_quantile()) {
    options.promise = config.selection().latency_quantile();
  }
  options.classes = pool->classes.size() + 1;
  pool->record = std::make_shared<PoolRecord>(pool->experts.size(), options, std::move(starts));
  if (learning_ && config.selection().has_max_utilisation()) {
    pool->record->congestion = std::make_unique<CongestionPrice>(
        pool->experts.size(), config.selection().max_utilisation());
  }
  if (learning_ && config.has_exploration()) {
    pool->record->explorer = std::make_unique<Explorer>(
        pool->experts.size(), Explorer::ReadOptions(config.exploration()));
  }
  if (config.has_planning()) {
    PENSTOCK_ASSIGN_OR_RETURN(PoolPlanner::Options planning, PoolPlanner::ReadOptions(config));
    pool->record->planner = std::make_unique<PoolPlanner>(std::move(planning), clock_);
  }
  if (!config.cascade().first().empty()) {
    pool->cascade_first = pool->FindExpert(config.cascade().first());
  }
  if (!config.inputs().empty()) {
    PoolContract contract = ContractFromConfig(config);
    // Unset `batched` is the first expert's word: the rooms wait for it, but what is wrong with them is
    // said at once.
    if (config.granularity() == config::v1::Pool::ROW) contract.batched = true;
    const bool complete = config.has_batched() || contract.batched;
    auto rooms = MakePoolRooms(config, std::move(contract));
    if (!rooms.ok()) return NamingFile(config, rooms.status());
    if (complete) pool->rooms = *std::move(rooms);
  }
  MutexLock lock(mutex_);
  index_.emplace(config.name(), entries_.size());
  const size_t experts = pool->experts.size();
  entries_.push_back({std::move(pool), std::vector<Search>(experts)});
  return absl::OkStatus();
}

void PoolCatalogue::SetIdleWattsHandler(OnIdleWatts handler) {
  on_idle_watts_ = std::move(handler);
}

void PoolCatalogue::Start() {
  std::vector<std::pair<size_t, size_t>> all;
  {
    MutexLock lock(mutex_);
    started_ = clock_.Now();
    for (size_t pool = 0; pool < entries_.size(); ++pool) {
      for (size_t expert = 0; expert < entries_[pool].searches.size(); ++expert) {
        all.emplace_back(pool, expert);
      }
    }
  }
  for (const auto& [pool, expert] : all) Ask(pool, expert);
}

void PoolCatalogue::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  for (Entry& entry : entries_) {
    for (Search& search : entry.searches) {
      if (search.timer != 0) timers_.Cancel(search.timer);
    }
  }
}

void PoolCatalogue::Ask(size_t pool, size_t expert) {
  std::shared_ptr<ReplicaConnection> connection;
  std::string model, version;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    Entry& entry = entries_[pool];
    Search& search = entry.searches[expert];
    search.asking = true;
    search.timer = 0;
    const PoolExpert& asked = entry.pool->experts[expert];
    connection = asked.connections[search.attempts % asked.connections.size()];
    ++search.attempts;
    model = asked.model;
    version = asked.version;
  }
  connection->Describe(model, version, kAskTimeout,
                       [weak = weak_from_this(), pool, expert](absl::StatusOr<ReplicaFacts> facts) {
                         if (auto self = weak.lock()) self->OnFacts(pool, expert, std::move(facts));
                       });
}

void PoolCatalogue::OnFacts(size_t pool, size_t expert, absl::StatusOr<ReplicaFacts> facts) {
  bool admitted = false;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    Entry& entry = entries_[pool];
    Search& search = entry.searches[expert];
    search.asking = false;
    if (facts.ok()) {
      entry.pool = Admit(*entry.pool, expert, *facts);
      admitted = entry.pool->experts[expert].admitted;
      const PoolExpert& told = entry.pool->experts[expert];
      idle_watts_[told.connections[(search.attempts - 1) % told.connections.size()].get()] =
          facts->idle_watts;
    } else {
      auto next = std::make_shared<Pool>(*entry.pool);
      next->experts[expert].left_out_because =
          absl::StrCat("no answer yet: ", facts.status().message());
      entry.pool = std::move(next);
    }
    if (!admitted) {
      search.timer = timers_.Schedule(clock_.Now() + PauseAfter(search.attempts),
                                      [weak = weak_from_this(), pool, expert] {
                                        if (auto self = weak.lock()) self->Ask(pool, expert);
                                      });
    }
  }
  if (admitted) ReportIdleWatts(pool);
}

std::shared_ptr<const Pool> PoolCatalogue::Admit(const Pool& pool, size_t expert,
                                                 const ReplicaFacts& facts) {
  auto next = std::make_shared<Pool>(pool);
  PoolExpert& told = next->experts[expert];
  const PoolContract contract =
      ContractFromMetadata(facts.metadata, facts.config ? &*facts.config : nullptr);
  if (next->rooms == nullptr) {
    PoolContract wanted = contract;
    if (!pool.config.inputs().empty()) {
      wanted = ContractFromConfig(pool.config);
      wanted.batched = contract.batched;
    }
    auto rooms = MakePoolRooms(pool.config, std::move(wanted));
    if (!rooms.ok()) {
      next->unusable_because = std::string(NamingFile(pool.config, rooms.status()).message());
      told.left_out_because = next->unusable_because;
      return next;
    }
    next->unusable_because.clear();
    next->rooms = *std::move(rooms);
  }
  told.left_out_because = ContractDifference(next->rooms->contract, contract);
  told.admitted = told.left_out_because.empty();
  told.max_rows = contract.max_rows;
  if (facts.description && facts.description->max_batch_rows() > 0 && told.max_rows == 0) {
    told.max_rows = facts.description->max_batch_rows();
  }
  if (!contract.batched) told.max_rows = 0;
  if (told.admitted) {
    const absl::Span<const float> recorded = next->rooms->quality->mean_joules();
    next->record->cost.SetStart(
        expert, StartOf(pool.config.experts(static_cast<int>(expert)), &facts,
                        recorded.empty() ? 0.0 : recorded[expert]));
  }
  return next;
}

void PoolCatalogue::ReportIdleWatts(size_t pool) {
  if (!on_idle_watts_) return;
  double of_pool = 0;
  double of_all = 0;
  std::string name;
  {
    MutexLock lock(mutex_);
    name = entries_[pool].pool->name();
    std::set<const ReplicaConnection*> ours;
    for (const PoolExpert& expert : entries_[pool].pool->experts) {
      for (const auto& connection : expert.connections) ours.insert(connection.get());
    }
    for (const auto& [connection, watts] : idle_watts_) {
      of_all += watts;
      if (ours.count(connection) > 0) of_pool += watts;
    }
  }
  on_idle_watts_(name, of_pool);
  on_idle_watts_("", of_all);
}

absl::StatusOr<PoolCatalogue::Promotion> PoolCatalogue::Promote(absl::string_view name,
                                                                absl::string_view version,
                                                                PromotedBy by) {
  const auto found = index_.find(name);
  if (found == index_.end()) return absl::NotFoundError(absl::StrCat("no pool ", name));
  MutexLock lock(mutex_);
  Entry& entry = entries_[found->second];
  const Pool& pool = *entry.pool;
  if (pool.rooms == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("pool ", name, " is not ready: ", pool.NotReadyBecause()));
  }
  Promotion promotion;
  promotion.previous_version = pool.rooms->versions.Together();
  auto next = std::make_shared<Pool>(pool);
  const std::shared_ptr<const PoolRooms>& shadow = pool.rooms->shadow;
  if (shadow != nullptr && (version.empty() || shadow->versions.Together() == version)) {
    next->config = WithShadowLive(pool.config);
    next->rooms = shadow;
  } else if (!version.empty() && promotion.previous_version == version) {
    promotion.live_version = promotion.previous_version;
    promotion.previous_version =
        entry.retired == nullptr ? "" : entry.retired->rooms->versions.Together();
    return promotion;
  } else if (!version.empty() && entry.retired != nullptr &&
             entry.retired->rooms->versions.Together() == version) {
    next->config = entry.retired->config;
    next->rooms = entry.retired->rooms;
  } else {
    return absl::FailedPreconditionError(
        shadow == nullptr
            ? absl::StrCat("pool ", name, " has no shadow; live is ", promotion.previous_version)
            : absl::StrCat("version is ", version, ", but the shadow of pool ", name, " is ",
                           shadow->versions.Together()));
  }
  entry.retired = entry.pool;
  entry.pool = std::move(next);
  promotion.live_version = entry.pool->rooms->versions.Together();
  promotion.changed = true;
  entry.pool->record->shadow.Promoted(promotion.live_version, by);
  if (entry.pool->record->explorer != nullptr) entry.pool->record->explorer->Reset();
  return promotion;
}

std::shared_ptr<const Pool> PoolCatalogue::Find(absl::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return nullptr;
  MutexLock lock(mutex_);
  return entries_[found->second].pool;
}

std::vector<std::shared_ptr<const Pool>> PoolCatalogue::All() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<const Pool>> pools;
  for (const Entry& entry : entries_) pools.push_back(entry.pool);
  return pools;
}

bool PoolCatalogue::ready() const {
  const auto pools = All();
  const auto is_ready = [](const std::shared_ptr<const Pool>& pool) { return pool->ready(); };
  if (std::all_of(pools.begin(), pools.end(), is_ready)) return true;
  if (std::none_of(pools.begin(), pools.end(), is_ready)) return false;
  MutexLock lock(mutex_);
  return clock_.Now() - started_ >= kPatience;
}

}  // namespace penstock::router
