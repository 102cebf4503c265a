#pragma once

// What the fake management library (fake_nvml.cc) tells, and how tests steer it: functions beside
// NVML's own, found by name in the library.

namespace penstock {

struct FakeGpu {
  const char* name;
  const char* uuid;
  unsigned utilization_percent;
  unsigned long long memory_total_bytes;
  unsigned long long memory_used_bytes;
  unsigned milliwatts;
  unsigned limit_milliwatts;  // 0: not supported
};

constexpr FakeGpu kFakeGpus[] = {
    {"Fake GPU A", "GPU-00000000-0000-0000-0000-00000000000a", 37, 80'000'000'000, 20'000'000'000,
     250'500, 700'000},
    {"Fake GPU B", "GPU-00000000-0000-0000-0000-00000000000b", 61, 40'000'000'000, 30'000'000'000,
     125'250, 0},
};

// Until it is called for a device, its counter runs with its power.
using FakeNvmlSetMillijoules = void (*)(unsigned device, unsigned long long millijoules);
constexpr char kFakeNvmlSetMillijoules[] = "fakeNvmlSetMillijoules";
// Calls that asked a device for a value.
using FakeNvmlCalls = unsigned long long (*)();
constexpr char kFakeNvmlCalls[] = "fakeNvmlCalls";
// Such a call does not return until it is told not to hang any more.
using FakeNvmlHang = void (*)(bool from_here_on);
constexpr char kFakeNvmlHang[] = "fakeNvmlHang";

}  // namespace penstock
