#include "router_service/pools/pool_entry.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/pools/expert_parameters.h"
#include "router_service/pools/followed_replica.h"
#include "router_service/pools/pool_files.h"
#include "router_service/pools/pool_shadow.h"
#include "router_service/pools/pool_succession.h"

namespace penstock::router {
namespace {

constexpr absl::Duration kAskTimeout = absl::Seconds(2);
// Quick at first, because services of one platform start together; an expert that is left out or
// down for long is asked every two seconds.
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(2);

absl::Duration PauseAfter(size_t attempts) {
  return std::min(kLongestPause, kFirstPause * (1 << std::min<size_t>(attempts, 6)));
}

// The pool's next snapshot with what the expert said. `restart`: the expert's costs start from
// there.
std::shared_ptr<Pool> WithFacts(const Pool& pool, size_t expert,
                                std::shared_ptr<ReplicaConnection> told_by,
                                std::shared_ptr<const ReplicaFacts> said, bool restart) {
  const ReplicaFacts& facts = *said;
  auto next = std::make_shared<Pool>(pool);
  PoolExpert& told = next->experts[expert];
  told.facts = std::move(said);
  told.told_by = std::move(told_by);
  told.admitted = false;
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
  if (told.admitted && restart) {
    const absl::Span<const float> recorded = next->rooms->quality->mean_joules();
    next->record->cost.SetStart(expert, StartOf(pool.config.experts(static_cast<int>(expert)),
                                                &facts, recorded.empty() ? 0.0 : recorded[expert]));
  }
  return next;
}

}  // namespace

PoolEntry::PoolEntry(const config::v1::Pool& config, const Deps& deps)
    : configured_(config), files_digest_(DigestOfFiles(config)), deps_(deps) {}

absl::StatusOr<std::shared_ptr<PoolEntry>> PoolEntry::Create(const config::v1::Pool& config,
                                                             const Deps& deps) {
  std::shared_ptr<PoolEntry> entry(new PoolEntry(config, deps));
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<Pool> pool, entry->FirstSnapshot());
  PENSTOCK_ASSIGN_OR_RETURN(pool->record, MakePoolRecord(*pool, deps.learning, deps.clock));
  pool->answer_version = pool->AnswerVersionNow();
  MutexLock lock(entry->mutex_);
  entry->searches_.resize(pool->experts.size());
  entry->pool_ = pool;
  return entry;
}

absl::StatusOr<std::shared_ptr<PoolEntry>> PoolEntry::Succeed(const PoolEntry& before,
                                                              const config::v1::Pool& config,
                                                              const Deps& deps) {
  std::shared_ptr<PoolEntry> entry(new PoolEntry(config, deps));
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<Pool> pool, entry->FirstSnapshot());
  const std::shared_ptr<const Pool> was = before.pool();
  const std::vector<std::optional<size_t>> continued = ContinuedExperts(*was, *pool);
  KeepReplicas(*was, continued, *pool);
  if (KeepsRecord(was->config, config, deps.learning,
                  before.files_digest() == entry->files_digest())) {
    pool->record = was->record;
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(pool->record,
                              SucceedRecord(*was, continued, *pool, deps.learning, deps.clock));
  }
  for (size_t i = 0; i < continued.size(); ++i) {
    if (pool->experts[i].facts == nullptr) continue;
    const bool restart = !deps.learning || !was->experts[*continued[i]].admitted;
    pool = WithFacts(*pool, i, pool->experts[i].told_by, pool->experts[i].facts, restart);
    if (!pool->unusable_because.empty()) {
      return absl::InvalidArgumentError(pool->unusable_because);
    }
  }
  pool->answer_version = pool->AnswerVersionNow();
  MutexLock lock(entry->mutex_);
  entry->searches_.resize(pool->experts.size());
  entry->pool_ = pool;
  return entry;
}

absl::StatusOr<std::vector<std::shared_ptr<ReplicaConnection>>> PoolEntry::ConnectionsOf(
    const config::v1::PoolExpert& expert) const {
  std::vector<config::v1::Endpoint> endpoints(expert.replicas().begin(), expert.replicas().end());
  if (endpoints.empty()) endpoints.emplace_back().set_address(kInProcessExpert);
  std::vector<std::shared_ptr<ReplicaConnection>> connections;
  const auto add = [&](absl::StatusOr<std::shared_ptr<ReplicaConnection>> connection) {
    if (!connection.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("pool ", configured_.name(), ": expert ",
                                                     expert.name(), ": ",
                                                     connection.status().message()));
    }
    connections.push_back(*std::move(connection));
    return absl::OkStatus();
  };
  for (const config::v1::Endpoint& endpoint : endpoints) {
    if (deps_.names == nullptr || !EndpointNames::IsName(endpoint.address())) {
      PENSTOCK_RETURN_IF_ERROR(add(deps_.connector.Connect(endpoint)));
      continue;
    }
    for (const std::string& address : deps_.names->AddressesOf(endpoint.address())) {
      PENSTOCK_RETURN_IF_ERROR(add(deps_.connector.ConnectTo(endpoint, address)));
    }
  }
  return connections;
}

std::shared_ptr<ServedContent> PoolEntry::ContentAt(
    const PoolExpert& expert, std::shared_ptr<ReplicaConnection> connection) {
  return ServedContent::Follow(std::move(connection), expert.model, expert.version,
                               [weak = weak_from_this()] {
                                 if (auto self = weak.lock()) self->ContentChanged();
                               });
}

void PoolEntry::ContentChanged() {
  MutexLock making(making_);
  const std::shared_ptr<const Pool> before = pool();
  if (before == nullptr) return;  // still being made
  std::string version = before->AnswerVersionNow();
  if (version == before->answer_version) return;
  auto next = std::make_shared<Pool>(*before);
  next->answer_version = std::move(version);
  MutexLock lock(mutex_);
  if (!stopped_) pool_ = std::move(next);
}

absl::StatusOr<std::shared_ptr<Pool>> PoolEntry::FirstSnapshot() {
  const config::v1::Pool& config = configured_;
  auto pool = std::make_shared<Pool>();
  pool->config = config;
  for (const config::v1::PoolExpert& item : config.experts()) {
    PoolExpert expert;
    expert.name = item.name();
    expert.model = item.model().empty() ? item.name() : item.model();
    expert.version = item.version();
    expert.parameters = ExpertParameters(item);
    expert.left_out_because = "it has not said yet what it serves";
    PENSTOCK_ASSIGN_OR_RETURN(expert.connections, ConnectionsOf(item));
    for (const std::shared_ptr<ReplicaConnection>& connection : expert.connections) {
      expert.replicas.push_back(FollowedReplica(*connection, deps_.clock));
      if (config.has_cacheable()) expert.contents.push_back(ContentAt(expert, connection));
    }
    pool->expert_names.push_back(expert.name);
    pool->experts.push_back(std::move(expert));
  }
  std::set<std::string> class_names;
  for (const auto& [name, unused] : config.classes()) class_names.insert(name);
  for (const std::string& name : class_names) {
    const size_t next = pool->classes.size() + 1;
    pool->classes.emplace(name, next);
  }
  if (!config.cascade().first().empty()) {
    pool->cascade_first = pool->FindExpert(config.cascade().first());
  }
  if (!config.inputs().empty()) {
    PoolContract contract = ContractFromConfig(config);
    // Unset `batched` is the first expert's word: the rooms wait for it, but what is wrong with
    // them is said at once.
    if (config.granularity() == config::v1::Pool::ROW) contract.batched = true;
    const bool complete = config.has_batched() || contract.batched;
    auto rooms = MakePoolRooms(config, std::move(contract));
    if (!rooms.ok()) return NamingFile(config, rooms.status());
    if (complete) pool->rooms = *std::move(rooms);
  }
  return pool;
}

void PoolEntry::Start() {
  ContentChanged();  // while the first snapshot was made
  const std::shared_ptr<const Pool> now = pool();
  for (size_t expert = 0; expert < now->experts.size(); ++expert) {
    if (!now->experts[expert].admitted) Ask(expert);
  }
}

void PoolEntry::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  for (Search& search : searches_) {
    if (search.timer != 0) deps_.timers.Cancel(search.timer);
  }
}

void PoolEntry::RefreshNames() {
  MutexLock making(making_);
  const std::shared_ptr<const Pool> before = pool();
  std::shared_ptr<Pool> next;
  for (size_t i = 0; i < before->experts.size(); ++i) {
    const PoolExpert& was = before->experts[i];
    const auto connections = ConnectionsOf(before->config.experts(static_cast<int>(i)));
    // An address that cannot be connected to leaves those that are.
    if (!connections.ok() || *connections == was.connections) continue;
    if (next == nullptr) next = std::make_shared<Pool>(*before);
    PoolExpert& is = next->experts[i];
    is.connections = *connections;
    is.replicas.clear();
    is.contents.clear();
    std::shared_ptr<ReplicaConnection> stays;
    for (const std::shared_ptr<ReplicaConnection>& connection : *connections) {
      const auto known = std::find(was.connections.begin(), was.connections.end(), connection);
      is.replicas.push_back(
          known == was.connections.end()
              ? FollowedReplica(*connection, deps_.clock)
              : was.replicas[static_cast<size_t>(known - was.connections.begin())]);
      if (configured_.has_cacheable()) {
        is.contents.push_back(known == was.connections.end()
                                  ? ContentAt(is, connection)
                                  : was.contents[static_cast<size_t>(known -
                                                                     was.connections.begin())]);
      }
      const bool is_first = stays == nullptr || connection == was.told_by;
      if (known != was.connections.end() && is_first) stays = connection;
    }
    // What one that left has said holds for those that stay and, behind a name, that came.
    if (stays == nullptr && !connections->empty()) stays = connections->front();
    if (is.facts != nullptr) is.told_by = std::move(stays);
  }
  if (next == nullptr) return;
  next->answer_version = next->AnswerVersionNow();
  MutexLock lock(mutex_);
  if (!stopped_) pool_ = std::move(next);
}

std::shared_ptr<const Pool> PoolEntry::pool() const {
  MutexLock lock(mutex_);
  return pool_;
}

absl::Status PoolEntry::WhyNoReplica(size_t expert) const {
  const config::v1::PoolExpert& config = configured_.experts(static_cast<int>(expert));
  // A name's endpoint is connected to only once there are addresses.
  PENSTOCK_RETURN_IF_ERROR(ConnectionsOf(config).status());
  std::string why;
  for (const config::v1::Endpoint& endpoint : config.replicas()) {
    absl::StrAppend(&why, why.empty() ? "" : "; ", deps_.names->WhyNone(endpoint.address()));
  }
  return absl::UnavailableError(why);
}

void PoolEntry::Ask(size_t expert) {
  std::shared_ptr<ReplicaConnection> connection;
  std::string model, version;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    Search& search = searches_[expert];
    search.timer = 0;
    const PoolExpert& asked = pool_->experts[expert];
    if (!asked.connections.empty()) {
      connection = asked.connections[search.attempts % asked.connections.size()];
    }
    ++search.attempts;
    model = asked.model;
    version = asked.version;
  }
  if (connection == nullptr) {
    OnFacts(expert, nullptr, WhyNoReplica(expert));
    return;
  }
  ReplicaConnection& to = *connection;
  to.Describe(model, version, kAskTimeout,
              [weak = weak_from_this(), expert,
               connection = std::move(connection)](absl::StatusOr<ReplicaFacts> facts) mutable {
                if (auto self = weak.lock()) {
                  self->OnFacts(expert, std::move(connection), std::move(facts));
                }
              });
}

void PoolEntry::OnFacts(size_t expert, std::shared_ptr<ReplicaConnection> told_by,
                        absl::StatusOr<ReplicaFacts> facts) {
  bool admitted = false;
  {
    MutexLock making(making_);
    std::shared_ptr<const Pool> before;
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
      before = pool_;
    }
    std::shared_ptr<Pool> next;
    if (facts.ok()) {
      // Who has been asked before has costs that were learnt, wherever it is now. The record may be
      // that of a pool that serves beside this one.
      const PoolStatistics::Totals totals = before->record->statistics.totals();
      const bool restart = !deps_.learning || totals.experts[expert].dispatches == 0;
      next = WithFacts(*before, expert, std::move(told_by),
                       std::make_shared<const ReplicaFacts>(*std::move(facts)), restart);
    } else {
      next = std::make_shared<Pool>(*before);
      next->experts[expert].left_out_because =
          absl::StrCat("no answer yet: ", facts.status().message());
    }
    admitted = next->experts[expert].admitted;
    next->answer_version = next->AnswerVersionNow();
    MutexLock lock(mutex_);
    if (stopped_) return;
    pool_ = std::move(next);
    if (!admitted) {
      Search& search = searches_[expert];
      search.timer = deps_.timers.Schedule(deps_.clock.Now() + PauseAfter(search.attempts),
                                           [weak = weak_from_this(), expert] {
                                             if (auto self = weak.lock()) self->Ask(expert);
                                           });
    }
  }
  if (admitted && deps_.on_admitted) deps_.on_admitted(configured_.name());
}

absl::StatusOr<PoolPromotion> PoolEntry::Promote(absl::string_view version, PromotedBy by) {
  MutexLock making(making_);
  MutexLock lock(mutex_);
  const Pool& pool = *pool_;
  if (pool.rooms == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("pool ", pool.name(), " is not ready: ", pool.NotReadyBecause()));
  }
  PoolPromotion promotion;
  promotion.previous_version = pool.rooms->versions.Together();
  auto next = std::make_shared<Pool>(pool);
  const std::shared_ptr<const PoolRooms>& shadow = pool.rooms->shadow;
  if (shadow != nullptr && (version.empty() || shadow->versions.Together() == version)) {
    next->config = WithShadowLive(pool.config);
    next->rooms = shadow;
  } else if (!version.empty() && promotion.previous_version == version) {
    promotion.live_version = promotion.previous_version;
    promotion.previous_version = retired_.rooms == nullptr ? "" : retired_.rooms->versions.Together();
    return promotion;
  } else if (!version.empty() && retired_.rooms != nullptr &&
             retired_.rooms->versions.Together() == version) {
    next->config = retired_.config;
    next->rooms = retired_.rooms;
  } else {
    return absl::FailedPreconditionError(
        shadow == nullptr ? absl::StrCat("pool ", pool.name(), " has no shadow; live is ",
                                         promotion.previous_version)
                          : absl::StrCat("version is ", version, ", but the shadow of pool ",
                                         pool.name(), " is ", shadow->versions.Together()));
  }
  next->answer_version = next->AnswerVersionNow();
  retired_ = {pool.config, pool.rooms};
  pool_ = std::move(next);
  promotion.live_version = pool_->rooms->versions.Together();
  promotion.changed = true;
  pool_->record->shadow.Promoted(promotion.live_version, by);
  if (pool_->record->explorer != nullptr) pool_->record->explorer->Reset();
  return promotion;
}

}  // namespace penstock::router
