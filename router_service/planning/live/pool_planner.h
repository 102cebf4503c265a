#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/planning/class_planner.h"
#include "router_service/planning/live/admission_plan.h"
#include "router_service/planning/live/plan_sample.h"
#include "router_service/planning/live/resident_switch.h"
#include "router_service/planning/replan_trigger.h"
#include "router_service/planning/resident_planner.h"

namespace penstock::router {

// What holds at present, as far as planning is concerned.
struct PlanningView {
  std::vector<uint8_t> available;  // [experts]: admitted, healthy, breaker closed
  uint64_t rooms_version = 0;      // changes with the pool's gate or quality model
};

// Who is awake, and whom each application class admits, planned from a sample of the pool's latest
// requests whenever what a plan stands on has changed. Record and plan() are thread-safe; Tick has
// one caller.
class PoolPlanner {
 public:
  // Fewer requests of a class are no sample.
  static constexpr size_t kLeastRows = 64;

  struct ClassLimits {
    std::string name;
    double energy_j = SetLimits::kNone;
    double latency_s = SetLimits::kNone;
    std::vector<size_t> forbidden;
  };
  struct Options {
    std::vector<std::string> experts;
    std::vector<ClassLimits> classes;  // by class index; 0 is "none"
    std::optional<double> watts;       // unset: all are awake
    std::vector<double> idle_watts;    // [experts]
    std::vector<double> wake_joules;   // [experts]
    std::vector<size_t> required;
    size_t sample = 2048;
    size_t k = 1;                    // experts that one request asks at most
    double latency_quantile = 0.95;  // of a class's latencies, that its limit binds
    ReplanTrigger::Options trigger;
    ResidentSwitch::Options dwell;
    SetSearchLimits search;
  };
  // INVALID_ARGUMENT naming the field. The pool has `planning`.
  static absl::StatusOr<Options> ReadOptions(const config::v1::Pool& pool);

  PoolPlanner(Options options, const Clock& clock);

  // A request was decided; as PlanSample::Record. Estimates that are no figures are no sample.
  void Record(size_t application_class, absl::Span<const double> score,
              absl::Span<const double> energy_j, absl::Span<const double> latency_s);

  // Plans if something calls for it. Unset: nothing did, or there are too few requests.
  std::shared_ptr<const AdmissionPlan> Tick(const PlanningView& present);

  // Whom a class never asks, plan or no plan.
  const std::vector<size_t>& forbidden(size_t application_class) const {
    return options_.classes[application_class].forbidden;
  }
  // Null: no plan was made so far, everybody is admitted.
  std::shared_ptr<const AdmissionPlan> plan() const;

 private:
  PlanBasis BasisOf(const PlanningView& present, const PlanSample::Rows& all) const;
  // Fills in `awake` and the verdict.
  void PlanAwake(const PlanningView& present, const PlanSample::Rows& all, AdmissionPlan& plan);
  ClassAdmission PlanOneClass(size_t application_class, const AdmissionPlan& plan);
  bool Required(size_t expert) const;

  const Options options_;
  const Clock& clock_;
  PlanSample sample_;
  ReplanTrigger trigger_;
  ResidentSwitch residents_;
  mutable Mutex mutex_;
  std::shared_ptr<const AdmissionPlan> plan_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
