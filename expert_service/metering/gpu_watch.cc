#include "expert_service/metering/gpu_watch.h"

#include <thread>
#include <utility>

#include "common/mutex.h"

namespace penstock::expert {
namespace {

template <typename Value>
std::optional<Value> Known(const absl::StatusOr<Value>& value) {
  return value.ok() ? std::optional<Value>(*value) : std::nullopt;
}

// A counter that goes back was reset: what was used meanwhile is not known.
struct Energy {
  std::optional<uint64_t> last_millijoules;
  double joules = 0;

  std::optional<double> Advance(const absl::StatusOr<uint64_t>& millijoules) {
    if (!millijoules.ok()) return std::nullopt;
    if (last_millijoules.has_value() && *millijoules > *last_millijoules) {
      joules += static_cast<double>(*millijoules - *last_millijoules) / 1000;
    }
    last_millijoules = *millijoules;
    return joules;
  }
};

}  // namespace

struct GpuWatch::State {
  State(std::shared_ptr<const Nvml> nvml_in, absl::Duration patience_in)
      : nvml(std::move(nvml_in)), patience(patience_in), energy(nvml->devices()) {}

  // On the thread of one reading.
  void Ask() {
    std::vector<GpuReading> read;
    for (size_t device = 0; device < nvml->devices(); ++device) {
      read.push_back({nvml->uuid(device), Known(nvml->Utilization(device)),
                      Known(nvml->ReadMemory(device)), Known(nvml->Watts(device)),
                      Known(nvml->WattsLimit(device)),
                      energy[device].Advance(nvml->Millijoules(device))});
    }
    MutexLock lock(mutex);
    readings = std::move(read);
    asking = false;
    answered.NotifyAll();
  }

  // Whether no reading is under way any more. Who has waited in vain is the last to wait for it.
  bool WaitForAnswer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    while (asking && !given_up) given_up = !answered.WaitFor(mutex, patience) && asking;
    return !asking;
  }

  const std::shared_ptr<const Nvml> nvml;
  const absl::Duration patience;
  std::vector<Energy> energy;  // [devices], of the thread of one reading
  Mutex mutex;
  CondVar answered;
  bool asking ABSL_GUARDED_BY(mutex) = false;
  bool given_up ABSL_GUARDED_BY(mutex) = false;  // the reading that is under way
  absl::Time read_at ABSL_GUARDED_BY(mutex) = absl::InfinitePast();
  std::vector<GpuReading> readings ABSL_GUARDED_BY(mutex);
};

GpuWatch::GpuWatch(std::shared_ptr<const Nvml> nvml, const Clock& clock, absl::Duration patience)
    : clock_(clock), state_(std::make_shared<State>(std::move(nvml), patience)) {
  Read();  // joules count from here on
}

GpuWatch::~GpuWatch() {
  MutexLock lock(state_->mutex);
  state_->WaitForAnswer();
}

std::vector<GpuReading> GpuWatch::Read() {
  State& state = *state_;
  MutexLock lock(state.mutex);
  if (!state.asking) {
    if (clock_.Now() - state.read_at < kMaxAge) return state.readings;
    state.asking = true;
    state.given_up = false;
    // Joined by nobody: that would wait for a driver that hangs.
    std::thread([shared = state_] { shared->Ask(); }).detach();
  }
  if (!state.WaitForAnswer()) return {};
  // After them: a device that is slow to answer is not asked all the time.
  state.read_at = clock_.Now();
  return state.readings;
}

}  // namespace penstock::expert
