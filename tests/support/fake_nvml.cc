#include "tests/support/fake_nvml.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>

// A libnvidia-ml.so.1 for machines without a GPU: the functions of NVML that the expert service
// looks for, under their published names, over two GPUs that do not exist.

namespace {

using penstock::FakeGpu;
using penstock::kFakeGpus;

constexpr int kSuccess = 0;
constexpr int kInvalidArgument = 2;
constexpr int kNotSupported = 3;
constexpr unsigned kDevices = sizeof(kFakeGpus) / sizeof(kFakeGpus[0]);
// The driver was there before the process: its counters do not begin at 0.
constexpr unsigned long long kMillijoulesBefore = 5'000'000;

struct Utilization {
  unsigned gpu, memory;
};
struct Memory {
  unsigned long long total, free, used;
};

const std::chrono::steady_clock::time_point loaded = std::chrono::steady_clock::now();
std::atomic<unsigned long long> calls{0};
std::atomic<unsigned long long> millijoules[kDevices];  // 0: the counter runs

// Has no destructor: the library is unloaded and loaded again in one process, often at the same
// address, where ThreadSanitizer would take the old one's end for a race.
std::atomic<bool> hanging{false};

// Handles are the addresses of the GPUs.
const FakeGpu* Find(const void* device) {
  ++calls;
  // atomic::wait would keep the library from being unloaded.
  while (hanging) std::this_thread::yield();
  const auto* gpu = static_cast<const FakeGpu*>(device);
  return gpu >= kFakeGpus && gpu < kFakeGpus + kDevices ? gpu : nullptr;
}

int Text(const char* text, char* to, unsigned length) {
  if (std::strlen(text) >= length) return kInvalidArgument;
  std::strcpy(to, text);
  return kSuccess;
}

}  // namespace

extern "C" {

int nvmlInit_v2() { return kSuccess; }
int nvmlShutdown() { return kSuccess; }

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = kDevices;
  return kSuccess;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, const void** device) {
  if (index >= kDevices) return kInvalidArgument;
  *device = &kFakeGpus[index];
  return kSuccess;
}

const char* nvmlErrorString(int code) {
  return code == kNotSupported ? "Not Supported" : "Invalid Argument";
}

int nvmlDeviceGetName(const void* device, char* name, unsigned length) {
  const FakeGpu* gpu = Find(device);
  return gpu == nullptr ? kInvalidArgument : Text(gpu->name, name, length);
}

int nvmlDeviceGetUUID(const void* device, char* uuid, unsigned length) {
  const FakeGpu* gpu = Find(device);
  return gpu == nullptr ? kInvalidArgument : Text(gpu->uuid, uuid, length);
}

int nvmlDeviceGetUtilizationRates(const void* device, Utilization* rates) {
  const FakeGpu* gpu = Find(device);
  if (gpu == nullptr) return kInvalidArgument;
  *rates = {gpu->utilization_percent, 0};
  return kSuccess;
}

int nvmlDeviceGetMemoryInfo(const void* device, Memory* memory) {
  const FakeGpu* gpu = Find(device);
  if (gpu == nullptr) return kInvalidArgument;
  *memory = {gpu->memory_total_bytes, gpu->memory_total_bytes - gpu->memory_used_bytes,
             gpu->memory_used_bytes};
  return kSuccess;
}

int nvmlDeviceGetPowerUsage(const void* device, unsigned* milliwatts) {
  const FakeGpu* gpu = Find(device);
  if (gpu == nullptr) return kInvalidArgument;
  *milliwatts = gpu->milliwatts;
  return kSuccess;
}

int nvmlDeviceGetEnforcedPowerLimit(const void* device, unsigned* milliwatts) {
  const FakeGpu* gpu = Find(device);
  if (gpu == nullptr) return kInvalidArgument;
  if (gpu->limit_milliwatts == 0) return kNotSupported;
  *milliwatts = gpu->limit_milliwatts;
  return kSuccess;
}

int nvmlDeviceGetTotalEnergyConsumption(const void* device, unsigned long long* energy) {
  const FakeGpu* gpu = Find(device);
  if (gpu == nullptr) return kInvalidArgument;
  *energy = millijoules[gpu - kFakeGpus];
  if (*energy > 0) return kSuccess;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - loaded;
  *energy = kMillijoulesBefore +
            static_cast<unsigned long long>(gpu->milliwatts * seconds.count());
  return kSuccess;
}

void fakeNvmlSetMillijoules(unsigned device, unsigned long long energy) {
  if (device < kDevices) millijoules[device] = energy;
}

unsigned long long fakeNvmlCalls() { return calls; }

void fakeNvmlHang(bool from_here_on) {
  hanging = from_here_on;
}

}  // extern "C"
