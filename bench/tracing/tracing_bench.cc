// What does tracing add to a request, in nanoseconds and allocations, where it is off and where it
// is on? Prints rows as JSON.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/counted_allocations.h"
#include "common/net/caller_rights.h"
#include "common/time/timers.h"
#include "common/tracing/infer_trace.h"
#include "common/tracing/tracer.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

// CPU time of this thread: other programs on the core do not count.
double ThreadNanoseconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e9 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec);
}

constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kNotSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

// A request as a server hands it over.
class Call final : public IncomingCall {
 public:
  explicit Call(Metadata metadata) : metadata_(std::move(metadata)) {}
  const Bytes& request() const override { return request_; }
  absl::Time deadline() const override { return absl::InfiniteFuture(); }
  const Metadata& metadata() const override { return metadata_; }
  const Caller& caller() const override { return caller_; }
  void SetCancelHandler(absl::AnyInvocable<void()>) override {}
  void Finish(InferReply) override {}

 private:
  const Bytes request_;
  const Metadata metadata_;
  const Caller caller_;
};

// A collector that takes everything at once.
class Nowhere final : public SpanExporter, public SpanObserver {
 public:
  void Export(SpanBatch, Done done) override { done(absl::OkStatus(), 0); }
  void Exported(uint64_t) override {}
  void Dropped(uint64_t) override {}
  void Failed(uint64_t) override {}
};

// What the services do for one request, as their code has it.
struct Service {
  const char* name;
  int attempts;  // it makes at others
  int children;  // spans of its own work
};
constexpr Service kServices[] = {{"gateway", 1, 0}, {"router", 2, 0}, {"expert", 0, 2}};

void Serve(const Service& service, Tracer* tracer, const Call& call, Metadata& metadata,
           absl::Time now) {
  ServedTrace trace(tracer, call, now);
  trace.Propagate(metadata);
  for (int i = 0; i < service.attempts; ++i) {
    Span attempt = BeginClientSpan(tracer, metadata, "10.0.0.7:8101", now);
    attempt.Set(kSpanPool, "assistant");
    attempt.Set(kSpanTenant, "acme");
    attempt.Set(kSpanRequest, "5f3a-17");
    attempt.Set(kSpanAttempt, static_cast<int64_t>(i));
    EndRpcSpan(attempt, absl::StatusCode::kOk, now);
  }
  for (int i = 0; i < service.children; ++i) {
    Span child = trace.span().Child("compute", SpanKind::kInternal, now);
    child.End(now);
  }
  trace.span().Set(kSpanPool, "assistant");
  trace.span().Set(kSpanTenant, "acme");
  trace.span().Set(kSpanRequest, "5f3a-17");
  trace.span().Set(kSpanJoules, 1.5);
  trace.End(absl::StatusCode::kOk, now);
}

struct Figures {
  double ns = 0;           // the median of the rounds
  double allocations = 0;  // a request
};

Figures Measure(const Service& service, Tracer* tracer, const char* traceparent, int requests,
                int rounds) {
  Metadata with = {{kTenantMetadata, "acme"}, {kRequestIdMetadata, "5f3a-17"}};
  if (traceparent != nullptr) with.emplace_back(kTraceparentMetadata, traceparent);
  const Call call(with);
  // As the service sends it: room for one more, so that its growth is not tracing's.
  Metadata metadata = with;
  metadata.reserve(8);
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  std::vector<double> times;
  Figures figures;
  for (int round = 0; round < rounds; ++round) {
    const uint64_t before = allocations;
    const double start = ThreadNanoseconds();
    for (int i = 0; i < requests; ++i) {
      Serve(service, tracer, call, metadata, now);
      asm volatile("" ::"r"(&metadata) : "memory");
    }
    const double took = ThreadNanoseconds() - start;
    figures.allocations = static_cast<double>(allocations - before) / requests;
    times.push_back(took / requests);
  }
  std::sort(times.begin(), times.end());
  figures.ns = times[times.size() / 2];
  return figures;
}

int Main(int argc, char** argv) {
  int requests = 200'000, rounds = 5;
  CLI::App app("What tracing adds to a request.");
  app.add_option("--requests", requests)->check(CLI::PositiveNumber);
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  const RealClock clock;
  Nowhere nowhere;
  ThreadTimers timers(clock);
  const auto batcher = std::make_shared<SpanBatcher>(SpanBatcher::Options{.max_queue = 1'000'000},
                                                     clock, timers, nowhere, nowhere);
  // A limit that is never met: the time stands still.
  const auto tracer = std::make_shared<Tracer>(
      Tracer::Options{.sample_share = 0, .max_per_second = 1e15}, batcher, clock.Now());
  struct Mode {
    const char* name;
    Tracer* tracer;
    const char* traceparent;
  };
  const Mode modes[] = {{"off", nullptr, nullptr},
                        {"off, sampled caller", nullptr, kSampled},
                        {"on, caller not sampled", tracer.get(), kNotSampled},
                        {"on, drawn, not sampled", tracer.get(), nullptr},
                        {"on, traced", tracer.get(), kSampled}};
  nlohmann::json rows = nlohmann::json::array();
  for (const Service& service : kServices) {
    for (const Mode& mode : modes) {
      const Figures figures = Measure(service, mode.tracer, mode.traceparent, requests, rounds);
      rows.push_back({{"service", service.name},
                      {"tracing", mode.name},
                      {"ns", figures.ns},
                      {"allocations", figures.allocations}});
      if (mode.tracer == nullptr && figures.allocations != 0) {
        std::fprintf(stderr, "%s: %g allocations a request where nothing is traced\n", service.name,
                     figures.allocations);
        return 1;
      }
    }
  }
  batcher->Finish(absl::Seconds(10));
  std::printf("%s\n", nlohmann::json{{"requests", requests}, {"rows", rows}}.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) { return penstock::Main(argc, argv); }
