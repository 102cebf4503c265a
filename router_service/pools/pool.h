#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/retry_budget.h"
#include "common/tensors/infer_message.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/combining/combiner.h"
#include "router_service/combining/local_gate.h"
#include "router_service/cost/cost_model.h"
#include "router_service/cost/lateness_probe.h"
#include "router_service/exploration/explorer.h"
#include "router_service/features/feature_extractor.h"
#include "router_service/gating/count_gate.h"
#include "router_service/gating/gate.h"
#include "router_service/guards/pool_guards.h"
#include "router_service/planning/live/pool_planner.h"
#include "router_service/pools/pool_contract.h"
#include "router_service/pools/pool_statistics.h"
#include "router_service/pools/replica.h"
#include "router_service/pools/replica_connector.h"
#include "router_service/pools/served_content.h"
#include "router_service/pools/shadow_record.h"
#include "router_service/quality/artifact_version.h"
#include "router_service/quality/cascade_quality.h"
#include "router_service/quality/quality_model.h"
#include "router_service/replicas/hedging.h"
#include "router_service/replicas/replica_choice.h"
#include "router_service/resilience/resilience_record.h"
#include "router_service/selection/congestion_price.h"

namespace penstock::router {

// One expert of a pool, as a snapshot sees it.
struct PoolExpert {
  std::string name;
  std::string model;    // at the replicas
  std::string version;  // empty: the served one
  std::vector<OutParameter> parameters;  // set in every request to the replicas
  std::vector<std::shared_ptr<Replica>> replicas;
  std::vector<std::shared_ptr<ReplicaConnection>> connections;  // what the replicas borrow
  // By connection, of a cacheable pool: what its answers come from. Empty: of another.
  std::vector<std::shared_ptr<ServedContent>> contents;
  // What one of them said last; null: nothing yet.
  std::shared_ptr<const ReplicaFacts> facts;
  std::shared_ptr<ReplicaConnection> told_by;  // which one
  bool admitted = false;
  // Where not admitted: the difference from the pool's contract, or why nothing is known yet.
  std::string left_out_because;
  int64_t max_rows = 0;  // of one call; 0: no limit known

  // What is asked for there: two experts may be one model with different parameters.
  std::string ServedModel() const { return model + "/" + version; }
  bool healthy() const;
  // Requests may go to one of them: it is healthy, and its breaker is closed.
  bool available() const;
};

// What a pool learns and counts; outlives the snapshots. Thread-safe.
struct PoolRecord {
  PoolRecord(size_t experts, CostModel::Options options, std::vector<CostStart> starts)
      : statistics(experts),
        cost(options, std::move(starts)),
        resilience(experts),
        replica_choice(std::make_unique<ReplicaChoice>(experts, ReplicaChoice::Options())) {}
  PoolStatistics statistics;
  CostModel cost;
  LatenessProbe lateness_probe;
  ShadowRecord shadow;
  ResilienceRecord resilience;
  std::unique_ptr<RetryBudget> retries;  // null: it has no limit; fixed once made
  // For asking once more, whomever. False, and counted: there have been enough retries.
  bool TakeRetry(absl::Time now);
  std::unique_ptr<ReplicaChoice> replica_choice;  // fixed once made
  // Null: only attempts that are lost are made again; fixed once made.
  std::unique_ptr<Hedging> hedging;
  std::unique_ptr<PoolPlanner> planner;  // null: every expert is admissible; fixed once made
  std::unique_ptr<CongestionPrice> congestion;  // null: load has no price; fixed once made
  std::unique_ptr<Explorer> explorer;           // null: the pool does not explore; fixed once made
};

// How a pool decides, fixed once its contract is known. Immutable.
struct PoolRooms {
  PoolContract contract;
  std::unique_ptr<const FeatureExtractor> features;
  std::shared_ptr<const Gate> gate;
  std::shared_ptr<const QualityModel> quality;
  ArtifactVersions versions;  // of the files that both were read from
  std::string answer_version;  // of configuration and files; empty: the pool is not cacheable
  std::unique_ptr<const CascadeQuality> cascade;  // null: none
  std::unique_ptr<const CountGate> count;         // null: as many as selection says
  std::vector<std::string> warnings;              // of files that are served in part; a line each
  std::unique_ptr<const Combiner> combiner;
  PoolGuards guards;
  std::unique_ptr<const Customisation> customisation;  // null: none
  // The rooms that would be live once the shadow is; it shares what it has no file of its own for.
  // Null: the pool has no shadow.
  std::shared_ptr<const PoolRooms> shadow;
};

// One OIP model name: an immutable snapshot. The experts are in the configuration's order, admitted
// or not.
struct Pool {
  static constexpr char kVersion[] = "1";
  // Of one request, where its experts do not limit it: what the router holds per row stays small.
  static constexpr int64_t kMostRows = 65536;

  config::v1::Pool config;
  std::vector<std::string> expert_names;
  std::vector<PoolExpert> experts;
  std::shared_ptr<const PoolRooms> rooms;  // null until the contract is known
  std::string unusable_because;            // the rooms do not fit the contract that came
  std::string answer_version;  // of all that answers come from; empty: no rooms, or not cacheable
  std::shared_ptr<PoolRecord> record;
  // Class name -> index for the cost model; 0 is "none".
  std::map<std::string, size_t> classes;
  std::optional<size_t> cascade_first;

  const std::string& name() const { return config.name(); }
  bool by_row() const { return config.granularity() == config::v1::Pool::ROW; }
  // Requests can be answered: at least one admitted expert is healthy.
  bool ready() const;
  // Why not.
  std::string NotReadyBecause() const;
  // What a caller is told without rooms: UNAVAILABLE, since another router may have them.
  // That waiting helps is said only where it may: not of a file that is missing or does not fit.
  absl::Status NotReady() const;
  std::optional<size_t> FindExpert(absl::string_view expert) const;
  // The answer version that the rooms and what the experts serve come to: equal at every router whose
  // replicas serve alike.
  std::string AnswerVersionNow() const;
  // Most rows that an admitted expert takes in one call; 0: no limit known.
  int64_t max_rows() const;
  // Most rows that a request may have. Of a ROW pool sub-batches are cut to what their expert
  // takes.
  int64_t row_limit() const;
};

// Checks what needs no expert: names, ranges, files where the contract is configured.
absl::Status ValidatePool(const config::v1::Pool& pool, bool has_in_process_expert);

// INVALID_ARGUMENT where gate, features, quality or cascade do not fit the contract.
absl::StatusOr<std::shared_ptr<const PoolRooms>> MakePoolRooms(const config::v1::Pool& pool,
                                                               PoolContract contract);

// What an expert is believed to cost before it was ever asked: its own word, else the
// configuration's (the other way round where it has parameters, of which its own word does not
// know), else `recorded_joules`, what the quality model's table told of its answers (0: nothing).
CostStart StartOf(const config::v1::PoolExpert& expert, const ReplicaFacts* facts,
                  double recorded_joules = 0);

}  // namespace penstock::router
