#include "expert_service/execution/executor.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/time/thread_cpu.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

// Bounds a worker's arena; a batch that needs more runs in parts, which changes no answer.
constexpr size_t kMaxValueBytesPerRun = size_t{1} << 30;
// A model this slow is not run full while warming up.
constexpr absl::Duration kSlow = absl::Seconds(1);
// Waits are cut so that a wake-up lost to a clock that jumps costs no more.
constexpr absl::Duration kLongestWait = absl::Hours(1);

int64_t ThreadCpuNanoseconds() { return absl::ToInt64Nanoseconds(ThreadCpuTime()); }

ExecutionRequest& Request(const std::shared_ptr<QueuedRequest>& request) {
  return static_cast<ExecutionRequest&>(*request);
}

DeadlineBatcher::Options BatcherOptions(const Model& model) {
  DeadlineBatcher::Options options;
  options.model = model.name();
  options.max_rows = std::max<int64_t>(model.contract().max_rows, 1);
  options.max_delay = model.contract().max_delay;
  options.max_queue = model.contract().max_queue;
  return options;
}

}  // namespace

Executor::Served::Served(std::shared_ptr<const Model> served, uint64_t owner_in)
    : model(std::move(served)),
      owner(owner_in),
      weight_bytes(model->resident_bytes()),
      batcher(BatcherOptions(*model)) {}

Executor::Executor(Options options, const ModelRepository& models, EnergyMeter& meter,
                   const Clock& clock, ExpertEvents& events)
    : options_(options),
      meter_(meter),
      clock_(clock),
      events_(events),
      utilization_(options.threads, clock.Now()),
      pool_(options.threads, ThreadCpuNanoseconds) {
  MutexLock lock(mutex_);
  for (const std::shared_ptr<const Model>& model : models.models()) {
    served_.push_back(MakeServed(model));
  }
}

std::unique_ptr<Executor::Served> Executor::MakeServed(std::shared_ptr<const Model> model) {
  const auto known = std::find(owners_.begin(), owners_.end(), model->name());
  const auto owner = static_cast<uint64_t>(known - owners_.begin());
  if (known == owners_.end()) owners_.push_back(model->name());
  return std::make_unique<Served>(std::move(model), owner);
}

Executor::~Executor() { Stop(); }

Executor::Served& Executor::Of(const Model& model) const {
  const auto it = std::find_if(served_.begin(), served_.end(),
                               [&](const auto& each) { return each->model.get() == &model; });
  return **it;  // requests name models of the repository that served_ was made from
}

void Executor::Start() {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

void Executor::Stop() {
  DeadlineBatcher::Requests left;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    for (const auto& served : served_) {
      for (auto& request : served->batcher.TakeAll()) left.push_back(std::move(request));
    }
    waiting_ -= left.size();
    wake_.NotifyAll();
  }
  for (const auto& request : left) {
    Request(request).done({absl::UnavailableError("the expert service stops")});
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Executor::Submit(std::shared_ptr<ExecutionRequest> request) {
  request->rows = request->inputs.rows;
  request->size = request->inputs.rows * std::max<int64_t>(request->inputs.positions, 1);
  ExecutionOutcome refused;
  {
    MutexLock lock(mutex_);
    Served& served = Of(*request->model);
    if (stopping_) {
      refused.status = absl::UnavailableError("the expert service stops");
    } else if (request->cancelled) {
      refused.status = absl::CancelledError("cancelled on arrival");
    } else {
      refused.status = served.batcher.Add(request, clock_.Now());
    }
    if (refused.status.ok()) {
      ++waiting_;
      wake_.NotifyOne();
      return;
    }
    refused.retry_after =
        std::max(served.batcher.Backlog() / options_.threads, absl::Milliseconds(1));
  }
  request->done(std::move(refused));
}

void Executor::Cancel(ExecutionRequest& request) {
  ExecutionOutcome outcome;
  {
    MutexLock lock(mutex_);
    request.cancelled = true;
    if (!Of(*request.model).batcher.Remove(request)) return;
    --waiting_;
    outcome.queued = clock_.Now() - request.enqueued;
  }
  outcome.status = absl::CancelledError("cancelled while waiting");
  request.done(std::move(outcome));
}

Executor::Picked Executor::Pick(absl::Time now) {
  Picked picked;
  for (const auto& served : served_) served->tried = false;
  for (;;) {
    Served* next = nullptr;
    for (const auto& served : served_) {
      if (served->tried || served->batcher.depth() == 0) continue;
      if (next == nullptr || served->batcher.due() < next->batcher.due()) next = served.get();
    }
    if (next == nullptr) return picked;
    next->tried = true;
    DeadlineBatcher::Decision decision = next->batcher.Pick(now);
    waiting_ -= decision.dropped.size() + decision.batch.size();
    for (auto& request : decision.dropped) {
      absl::Status status = next->batcher.LateStatus(*request, now);
      picked.late.emplace_back(std::move(request), std::move(status));
    }
    if (!decision.batch.empty()) {
      picked.served = next;
      picked.batch = std::move(decision.batch);
      running_ += picked.batch.size();
      return picked;
    }
    picked.wait_until = std::min(picked.wait_until, decision.wait_until);
  }
}

void Executor::Run() {
  Arena arena(&pool_);
  for (;;) {
    Picked picked;
    {
      MutexLock lock(mutex_);
      for (;;) {
        if (stopping_) return;
        const absl::Time now = clock_.Now();
        picked = Pick(now);
        if (!picked.batch.empty() || !picked.late.empty()) break;
        wake_.WaitFor(mutex_, std::min(picked.wait_until - now, kLongestWait));
      }
      // The batch that was taken may have left more that another worker can start on.
      if (waiting_ > 0) wake_.NotifyOne();
    }
    const absl::Time start = clock_.Now();
    for (auto& [request, status] : picked.late) {
      ExecutionOutcome outcome;
      outcome.status = std::move(status);
      outcome.queued = start - request->enqueued;
      Request(request).done(std::move(outcome));
    }
    if (!picked.batch.empty()) Execute(*picked.served, picked.batch, arena);
  }
}

std::vector<Executor::Group> Executor::Split(const Model& model,
                                             const DeadlineBatcher::Requests& batch) const {
  std::vector<Group> groups;
  std::map<int64_t, std::pair<size_t, int64_t>> open;  // positions -> group, its rows
  for (const auto& queued : batch) {
    ExecutionRequest& request = Request(queued);
    const int64_t positions = request.inputs.positions;
    const auto found = open.find(positions);
    if (found != open.end()) {
      auto& [group, rows] = found->second;
      if (model.ValueBytes(rows + request.rows, positions) <= kMaxValueBytesPerRun) {
        groups[group].push_back(&request);
        rows += request.rows;
        continue;
      }
    }
    open[positions] = {groups.size(), request.rows};
    groups.push_back({&request});
  }
  return groups;
}

void Executor::Execute(Served& served, const DeadlineBatcher::Requests& batch, Arena& arena) {
  const absl::Time start = clock_.Now();
  absl::Duration helped;
  for (const Group& group : Split(*served.model, batch)) {
    helped += ExecuteGroup(served, group, arena);
  }
  const absl::Time end = clock_.Now();
  MutexLock lock(mutex_);
  utilization_.AddBusy(start, end, helped);
}

absl::Duration Executor::ExecuteGroup(Served& served, const Group& group, Arena& arena) {
  const Model& model = *served.model;
  const int64_t positions = group[0]->inputs.positions;
  int64_t rows = 0, size = 0;
  for (const ExecutionRequest* request : group) {
    rows += request->rows;
    size += request->size;
  }
  // At most, for the books of a window that closes before the execution ends; charged is what ran.
  const double count = static_cast<double>(group.size());
  const double weight_bytes = model.Work(rows, positions).weight_bytes / count;
  std::vector<EnergyShare> shares;
  std::vector<ExecutionOutcome> outcomes(group.size());
  std::vector<ModelCall> calls;
  for (size_t i = 0; i < group.size(); ++i) {
    const double flops = model.Work(group[i]->rows, positions).flops;
    shares.push_back({served.owner, options_.energy.Joules(flops, weight_bytes)});
    calls.push_back({&group[i]->inputs, group[i]->wanted, &outcomes[i].outputs});
  }

  const absl::Time start = clock_.Now();
  const kernels::ThreadPool::Busy busy(pool_);
  const auto helped = [&] { return absl::Nanoseconds(busy.helped_nanoseconds()); };
  const EnergyMeter::LaunchId launch = meter_.Begin(std::move(shares), start, helped);
  const absl::Duration cpu_start = ThreadCpuTime();
  ModelRun ran;
  ran.clock = &clock_;
  const absl::Status status = model.Run(calls, arena, &ran);
  const absl::Duration cpu = ThreadCpuTime() - cpu_start + helped();
  const absl::Time end = clock_.Now();
  std::vector<double> modelled;
  for (const double flops : ran.flops) {
    modelled.push_back(options_.energy.Joules(flops, ran.weight_bytes / count));
  }
  const std::vector<double> joules = meter_.End(launch, end, modelled);
  const absl::Duration took = end - start;

  served.statistics->Executed(rows, took);
  events_.BatchExecuted(model.name(), rows, static_cast<int64_t>(group.size()), took, cpu);
  events_.BlocksExecuted(ran.blocks);
  for (const auto& [block, ended] : ran.ended) events_.RowsEnded(model.name(), block, ended);
  {
    MutexLock lock(mutex_);
    running_ -= group.size();
    if (status.ok()) served.batcher.latency().Observe(size, took);
  }
  for (size_t i = 0; i < group.size(); ++i) {
    outcomes[i].status = status;
    outcomes[i].joules = joules[i];
    outcomes[i].queued = start - group[i]->enqueued;
    outcomes[i].computed = took;
    events_.RequestExecuted(model.name(), outcomes[i].queued, joules[i]);
    group[i]->done(std::move(outcomes[i]));
  }
  return helped();
}

absl::StatusOr<absl::Duration> Executor::TimeRun(Served& served, int64_t rows, Arena& arena) {
  const Model& model = *served.model;
  const ModelInputs inputs = model.ZeroInputs(rows);
  std::vector<size_t> wanted(model.contract().outputs.size());
  for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = i;
  absl::Duration least = absl::InfiniteDuration();
  for (int run = 0; run < options_.warm_up_runs; ++run) {
    std::vector<Tensor> outputs;
    const ModelCall call{&inputs, wanted, &outputs};
    const ModelWork work = model.Work(rows, inputs.positions);
    const absl::Time start = clock_.Now();
    const auto launch = meter_.Begin(
        {{EnergyShare::kNobody, options_.energy.Joules(work.flops, work.weight_bytes)}}, start);
    // Zeros might all end at the first exit, and promises of latency must hold for rows that do
    // not.
    const absl::Status status = model.Run({&call, 1}, arena, nullptr, Exits::kIgnored);
    const absl::Time end = clock_.Now();
    meter_.End(launch, end);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("warming up model ", model.name(), ": ", status.message()));
    }
    least = std::min(least, end - start);
    if (least > kSlow) break;
  }
  MutexLock lock(mutex_);
  served.batcher.latency().AddAnchor(rows * std::max<int64_t>(inputs.positions, 1), least);
  return least;
}

absl::Status Executor::WarmUp() {
  std::vector<Served*> all;
  std::vector<std::shared_ptr<const Model>> held;  // may be unloaded meanwhile
  {
    MutexLock lock(mutex_);
    for (const auto& served : served_) {
      all.push_back(served.get());
      held.push_back(served->model);
    }
  }
  Arena arena;
  for (Served* served : all) PENSTOCK_RETURN_IF_ERROR(WarmUp(*served, arena));
  return absl::OkStatus();
}

absl::Status Executor::WarmUp(Served& served, Arena& arena) {
  if (options_.warm_up_runs == 0) return absl::OkStatus();
  const absl::Time start = clock_.Now();
  Profile profile;
  PENSTOCK_ASSIGN_OR_RETURN(profile.one_row, TimeRun(served, 1, arena));
  profile.full_batch = profile.one_row;
  const int64_t max_rows = served.model->contract().max_rows;
  if (max_rows > 1 && profile.one_row <= kSlow) {
    PENSTOCK_ASSIGN_OR_RETURN(profile.full_batch, TimeRun(served, max_rows, arena));
  }
  MutexLock lock(mutex_);
  served.profile = profile;
  served.warm_up = clock_.Now() - start;
  return absl::OkStatus();
}

absl::Status Executor::Add(const std::vector<std::shared_ptr<const Model>>& models) {
  std::vector<std::unique_ptr<Served>> begun;
  Arena arena;
  for (const std::shared_ptr<const Model>& model : models) {
    {
      MutexLock lock(mutex_);
      begun.push_back(MakeServed(model));
    }
    PENSTOCK_RETURN_IF_ERROR(WarmUp(*begun.back(), arena));
  }
  MutexLock lock(mutex_);
  for (auto& served : begun) served_.push_back(std::move(served));
  return absl::OkStatus();
}

void Executor::Sweep() {
  std::vector<std::unique_ptr<Served>> gone;  // freed outside the lock
  {
    MutexLock lock(mutex_);
    for (auto& served : served_) {
      // Whoever could ask for it holds it, and it is looked up nowhere else.
      if (served->model.use_count() == 1) gone.push_back(std::move(served));
    }
    served_.erase(std::remove(served_.begin(), served_.end(), nullptr), served_.end());
  }
  for (const auto& served : gone) {
    // Letting go of a copy comes after whatever others did before they let go of theirs; the count
    // alone orders nothing.
    std::shared_ptr<const Model>(served->model).reset();
  }
}

Executor::Load Executor::load() const {
  MutexLock lock(mutex_);
  return {waiting_ + running_, waiting_, utilization_.At(clock_.Now())};
}

Executor::Profile Executor::profile(const Model& model) const {
  MutexLock lock(mutex_);
  return Of(model).profile;
}

ModelStatistics& Executor::statistics(const Model& model) {
  MutexLock lock(mutex_);
  return *Of(model).statistics;
}

std::vector<Executor::Version> Executor::versions() const {
  std::vector<Version> versions;
  std::vector<std::shared_ptr<ModelStatistics>> statistics;
  {
    MutexLock lock(mutex_);
    for (const auto& served : served_) {
      versions.push_back({served->model->name(), served->model->version(), served->weight_bytes,
                          static_cast<uint64_t>(served->batcher.depth()), served->warm_up, {}});
      statistics.push_back(served->statistics);
    }
  }
  for (size_t i = 0; i < versions.size(); ++i) versions[i].statistics = statistics[i]->Totals();
  return versions;
}

std::vector<std::string> Executor::owners() const {
  MutexLock lock(mutex_);
  return owners_;
}

}  // namespace penstock::expert
