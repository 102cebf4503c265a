#include "cli/load/load_generator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <thread>
#include <utility>

#include "cli/load/request_log.h"
#include "common/mutex.h"
#include "common/net/grpc_status.h"
#include "common/random.h"
#include "common/tensors/infer_message.h"

namespace penstock::cli {
namespace {

// Collects answers; shared with callbacks that may outlast nothing: Run waits for all.
struct Collector {
  Mutex mutex;
  CondVar changed;
  size_t outstanding ABSL_GUARDED_BY(mutex) = 0;
  LoadResult result ABSL_GUARDED_BY(mutex);

  void Take(const InferReply& reply, double latency_ms, double latency_budget_ms) {
    double energy = NAN;
    std::string experts;
    if (reply.status.ok()) {
      if (const auto header = ScanInferResponse(reply.body); header.ok()) {
        for (const Parameter& parameter : header->parameters) {
          if (parameter.name == "penstock_energy_j") {
            if (const auto* joules = std::get_if<double>(&parameter.value)) energy = *joules;
          } else if (parameter.name == "penstock_experts") {
            if (const auto* names = std::get_if<std::string>(&parameter.value)) experts = *names;
          }
        }
      }
    }
    MutexLock lock(mutex);
    --outstanding;
    if (reply.status.ok()) {
      ++result.answered;
      result.latency_ms.push_back(latency_ms);
      if (latency_budget_ms > 0 && latency_ms <= latency_budget_ms) ++result.deadline_hits;
      if (!std::isnan(energy)) {
        result.energy_j += energy;
        ++result.energy_known;
      }
      if (!experts.empty()) ++result.experts[experts];
    } else {
      ++result.errors[std::string(StatusCodeName(reply.status.code()))];
    }
    changed.NotifyAll();
  }
};

// Exponential by inversion; 1 - u is in (0, 1].
absl::Duration NextGap(const LoadPlan& plan, CounterRandom& random) {
  const double mean = 1.0 / plan.rate;
  return absl::Seconds(plan.poisson ? -mean * std::log(1.0 - random.Uniform()) : mean);
}

}  // namespace

double LoadResult::Quantile(double q) const {
  if (latency_ms.empty()) return 0;
  const double rank = std::ceil(q * static_cast<double>(latency_ms.size()));
  return latency_ms[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

uint64_t LoadResult::ErrorCount() const {
  uint64_t count = 0;
  for (const auto& [code, errors_of_code] : errors) count += errors_of_code;
  return count;
}

LoadResult LoadGenerator::Run(const LoadPlan& plan, const OnProgress& on_progress,
                              const OnFinished& on_finished) {
  auto collector = std::make_shared<Collector>();
  CounterRandom random(plan.seed, 0);
  const absl::Time start = clock_.Now();
  absl::Time due = start;
  uint64_t sent = 0;
  const bool open_loop = plan.rate > 0;
  while (plan.count == 0 || sent < plan.count) {
    if (open_loop) {
      due += NextGap(plan, random);
      if (due - start >= plan.duration) break;
      std::this_thread::sleep_until(std::chrono::steady_clock::now() +
                                    absl::ToChronoNanoseconds(due - clock_.Now()));
    }
    bool room = true;
    {
      MutexLock lock(collector->mutex);
      while (!open_loop && collector->outstanding >= plan.outstanding) {
        collector->changed.Wait(collector->mutex);
      }
      if (!open_loop) due = clock_.Now();
      if (due - start >= plan.duration) break;
      ++collector->result.scheduled;
      room = collector->outstanding < plan.outstanding;
      if (room) {
        ++collector->outstanding;
      } else {
        ++collector->result.errors[kNotSent];
      }
    }
    if (room) {
      CallOptions options;
      options.deadline = clock_.Now() + plan.timeout;
      options.metadata = plan.metadata;
      forwarder_.Forward(plan.pool, plan.requests[sent % plan.requests.size()], std::move(options),
                         [this, collector, due, &on_finished,
                          budget = plan.latency_budget_ms](InferReply reply) {
                           const absl::Time ended = clock_.Now();
                           if (on_finished) {
                             const auto name = FindMetadata(reply.trailers, NamingTarget::kTrailer);
                             on_finished({due, ended, true, reply.status, std::string(name)});
                           }
                           collector->Take(reply, absl::ToDoubleMilliseconds(ended - due), budget);
                         });
    } else if (on_finished) {
      on_finished({due, clock_.Now(), false,
                   absl::ResourceExhaustedError("too many were in flight"), ""});
    }
    ++sent;
    const double by_count = plan.count > 0 ? static_cast<double>(sent) / plan.count : 0;
    const double by_time = absl::FDivDuration(clock_.Now() - start, plan.duration);
    on_progress(std::min(1.0, std::max(by_count, by_time)));
  }
  MutexLock lock(collector->mutex);
  while (collector->outstanding > 0) collector->changed.Wait(collector->mutex);
  LoadResult result = std::move(collector->result);
  result.seconds = absl::ToDoubleSeconds(clock_.Now() - start);
  std::sort(result.latency_ms.begin(), result.latency_ms.end());
  return result;
}

}  // namespace penstock::cli
