#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/client.h"
#include "tests/integration/process.h"
#include "tests/support/temp_dir.h"

namespace penstock {

// A gateway, a router with its decision log, and an expert service, each a process. Pools of x FP32
// [-1, 4] -> y FP32 [-1, 2]:
//   plain     `tiny`
//   pair      `tiny` and `other`, both asked, their answers averaged
//   rows      the same, each row its own
//   kept      `tiny`, with answers that gateways keep
//   pooled    `tiny` or `other` by the means of the input
//   budgeted  `tiny`, whose budgets callers set
// and `texts`, of FP32, INT64 and BYTES tensors, by the words of the text. `spare` is a model of no
// pool. Callers: alice (everything), bob, poor.
class MutationPlatform {
 public:
  // Null, and a failure of the test, where it does not start. Sanitizers of the services write into
  // files of its own.
  static std::unique_ptr<MutationPlatform> Start();

  std::array<std::string, 3> addresses() const;  // by Target
  // The log of each process that has ended; empty: all run.
  std::string Ended();
  // What the sanitizers of the services reported; empty: nothing.
  std::string Reports() const;
  // Takes back what admin calls did: models are loaded, budgets gone, replicas trusted. A failure
  // of the test where that is refused.
  void Restore();
  // Every pool answers a valid request as it did at first; a failure of the test else.
  void ExpectItServes();
  // Every metrics page is UTF-8 and has no more series than a platform of this size explains.
  void ExpectSoundMetrics();
  // Ends all; their exit codes are a failure of the test where they are not 0.
  void Stop();

 private:
  MutationPlatform() = default;
  void RemoveBudgets();

  struct Expected {
    InferRequest request;
    RawAnswer answer;
  };

  TempDir folder_;
  std::unique_ptr<Process> expert_;
  std::unique_ptr<Process> router_;
  std::unique_ptr<Process> gateway_;
  std::unique_ptr<TestClient> alice_;
  std::vector<Expected> expected_;
};

}  // namespace penstock
