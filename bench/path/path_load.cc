// Sends one target requests with one FP32 tensor, closed loop, and prints what they took as JSON: the
// client's latencies, and the CPU time of the processes on the way between the same two moments.

#include <CLI/CLI.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/path/process_cpu.h"
#include "cli/load/load_generator.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/rpc/client_queues.h"
#include "common/notification.h"
#include "common/status_macros.h"
#include "common/tensors/infer_message.h"
#include "common/time/timers.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

struct Options {
  std::string target;
  std::string model = "identity";
  size_t payload_bytes = 1024;
  size_t concurrency = 1;
  double seconds = 2;
  double warm_up_seconds = 0.5;
  std::vector<pid_t> hop_pids;    // whose CPU time is the hop's
  std::vector<pid_t> other_pids;  // ours too, but not the hop's: the rest of the machine is foreign
};

constexpr char kInput[] = "x";

struct NoObserver final : gateway::Forwarder::Observer {
  void Retried(absl::string_view) override {}
};

InferRequest MakeRequest(const Options& options) {
  std::vector<float> values(options.payload_bytes / sizeof(float));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 0.25f;
  InferRequest request;
  request.model_name = options.model;
  request.inputs.push_back(FloatTensor(kInput, {static_cast<int64_t>(values.size())}, values));
  return request;
}

// The answer must be the tensor that was sent, whatever lies on the way.
absl::Status CheckAnswer(InferTarget& target, const InferRequest& request) {
  Notification done;
  InferReply reply;
  CallOptions call;
  call.deadline = absl::Now() + absl::Seconds(10);
  const auto outgoing =
      target.ModelInfer(EncodeInferRequest(request).Flattened(), call, [&](InferReply answer) {
        reply = std::move(answer);
        done.Notify();
      });
  done.Wait();
  PENSTOCK_RETURN_IF_ERROR(reply.status);
  PENSTOCK_ASSIGN_OR_RETURN(const InferResponseHeader header, ScanInferResponse(reply.body));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, DecodeOutputs(reply.body, header));
  if (outputs.size() != 1 || !(outputs[0].data == request.inputs[0].data)) {
    return absl::InternalError(
        absl::StrCat(target.address(), " answered with another tensor than it was sent"));
  }
  return absl::OkStatus();
}

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

absl::Status Measure(const Options& options) {
  ClientQueues queues(1);
  config::v1::Endpoint endpoint;
  endpoint.set_address(options.target);
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<GrpcInferTarget> target,
                            GrpcInferTarget::Create(endpoint, queues));
  const RealClock clock;
  const absl::Time patience = clock.Now() + absl::Seconds(10);
  const InferRequest request = MakeRequest(options);
  absl::Status checked = CheckAnswer(*target, request);
  while (!checked.ok() || !target->healthy()) {
    if (clock.Now() > patience) {
      return checked.ok() ? absl::UnavailableError("not healthy within 10 s") : checked;
    }
    absl::SleepFor(absl::Milliseconds(20));
    checked = CheckAnswer(*target, request);
  }

  ThreadTimers timers(clock);
  NoObserver observer;
  gateway::Forwarder forwarder({target.get()}, clock, timers, observer);
  cli::LoadGenerator generator(forwarder, clock);
  cli::LoadPlan plan;
  plan.pool = options.model;
  plan.requests = {EncodeInferRequest(request).Flattened()};
  plan.outstanding = options.concurrency;
  plan.duration = absl::Seconds(options.warm_up_seconds);
  generator.Run(plan, [](double) {});

  plan.duration = absl::Seconds(options.seconds);
  PENSTOCK_ASSIGN_OR_RETURN(const double hop_before, ProcessCpuSeconds(options.hop_pids));
  PENSTOCK_ASSIGN_OR_RETURN(const double others_before, ProcessCpuSeconds(options.other_pids));
  PENSTOCK_ASSIGN_OR_RETURN(const double busy_before, MachineBusySeconds());
  const double own_before = OwnCpuSeconds();
  const cli::LoadResult result = generator.Run(plan, [](double) {});
  const double own = OwnCpuSeconds() - own_before;
  PENSTOCK_ASSIGN_OR_RETURN(const double busy_after, MachineBusySeconds());
  PENSTOCK_ASSIGN_OR_RETURN(const double others_after, ProcessCpuSeconds(options.other_pids));
  PENSTOCK_ASSIGN_OR_RETURN(const double hop_after, ProcessCpuSeconds(options.hop_pids));
  if (result.ErrorCount() > 0 || result.answered == 0) {
    return absl::InternalError(absl::StrCat(result.ErrorCount(), " of ", result.scheduled,
                                            " requests failed: ",
                                            result.errors.empty() ? "" : result.errors.begin()->first));
  }
  const double hop = hop_after - hop_before;
  const double foreign = busy_after - busy_before - hop - own - (others_after - others_before);
  const double per_request = 1e6 / static_cast<double>(result.answered);
  const nlohmann::ordered_json json = {
      {"p50_us", result.Quantile(0.5) * 1e3},
      {"p99_us", result.Quantile(0.99) * 1e3},
      {"cpu_us_per_request", hop * per_request},
      {"client_cpu_us_per_request", own * per_request},
      {"requests_per_second", static_cast<double>(result.answered) / result.seconds},
      {"foreign_cores", std::max(0.0, foreign / result.seconds)},
      {"requests", result.answered}};
  std::printf("%s\n", json.dump().c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  penstock::Options options;
  CLI::App app("Closed-loop load on one target, with the CPU time of the processes on the way");
  app.add_option("--target", options.target, "HOST:PORT")->required();
  app.add_option("--model", options.model, "model or pool that answers with its input");
  app.add_option("--payload_bytes", options.payload_bytes, "bytes of the FP32 tensor");
  app.add_option("--concurrency", options.concurrency, "requests in flight")->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds, "measured")->check(CLI::PositiveNumber);
  app.add_option("--warm_up_seconds", options.warm_up_seconds, "before")->check(CLI::PositiveNumber);
  app.add_option("--hop_pids", options.hop_pids, "processes whose CPU time is measured")->delimiter(',');
  app.add_option("--other_pids", options.other_pids, "processes that are not foreign load")
      ->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = penstock::Measure(options);
  if (!status.ok()) {
    std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
