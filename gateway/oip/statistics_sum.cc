#include "gateway/oip/statistics_sum.h"

#include <algorithm>
#include <utility>

namespace penstock::gateway {
namespace {

void AddDuration(const inference::StatisticDuration& part, inference::StatisticDuration& total) {
  total.set_count(total.count() + part.count());
  total.set_ns(total.ns() + part.ns());
}

inference::InferBatchStatistics& BatchOf(inference::ModelStatistics& total, uint64_t batch_size) {
  for (auto& batch : *total.mutable_batch_stats()) {
    if (batch.batch_size() == batch_size) return batch;
  }
  inference::InferBatchStatistics& batch = *total.add_batch_stats();
  batch.set_batch_size(batch_size);
  return batch;
}

}  // namespace

void AddStatistics(const inference::ModelStatistics& part, inference::ModelStatistics& total) {
  total.set_name(part.name());
  total.set_version(part.version());
  total.set_last_inference(std::max(total.last_inference(), part.last_inference()));
  total.set_inference_count(total.inference_count() + part.inference_count());
  total.set_execution_count(total.execution_count() + part.execution_count());
  const inference::InferStatistics& from = part.inference_stats();
  inference::InferStatistics& to = *total.mutable_inference_stats();
  AddDuration(from.success(), *to.mutable_success());
  AddDuration(from.fail(), *to.mutable_fail());
  AddDuration(from.queue(), *to.mutable_queue());
  AddDuration(from.compute_input(), *to.mutable_compute_input());
  AddDuration(from.compute_infer(), *to.mutable_compute_infer());
  AddDuration(from.compute_output(), *to.mutable_compute_output());
  AddDuration(from.cache_hit(), *to.mutable_cache_hit());
  AddDuration(from.cache_miss(), *to.mutable_cache_miss());
  for (const inference::InferBatchStatistics& batch : part.batch_stats()) {
    inference::InferBatchStatistics& sum = BatchOf(total, batch.batch_size());
    AddDuration(batch.compute_input(), *sum.mutable_compute_input());
    AddDuration(batch.compute_infer(), *sum.mutable_compute_infer());
    AddDuration(batch.compute_output(), *sum.mutable_compute_output());
  }
}

StatisticsSum::StatisticsSum(size_t parts, CallerRights rights,
                             inference::ModelStatisticsResponse& response, ControlDone done)
    : awaited_(parts), rights_(std::move(rights)), response_(response), done_(std::move(done)) {}

void StatisticsSum::Add(absl::StatusOr<inference::ModelStatisticsResponse> part) {
  ControlDone done;
  absl::Status status;
  {
    MutexLock lock(mutex_);
    if (part.ok()) {
      any_ = true;
      for (const inference::ModelStatistics& model : part->model_stats()) {
        if (!rights_.MayCall(model.name())) continue;
        auto& models = *response_.mutable_model_stats();
        const auto same = std::find_if(models.begin(), models.end(), [&](const auto& candidate) {
          return candidate.name() == model.name() && candidate.version() == model.version();
        });
        AddStatistics(model, same != models.end() ? *same : *models.Add());
      }
    } else if (first_error_.ok()) {
      first_error_ = part.status();
    }
    if (--awaited_ > 0) return;
    status = any_ ? absl::OkStatus() : first_error_;
    done = std::move(done_);
  }
  done(std::move(status));
}

}  // namespace penstock::gateway
