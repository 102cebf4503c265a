#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/net/infer_call.h"
#include "common/random.h"
#include "tests/mutation/seeds.h"

namespace penstock {

// What is sent to one target: one RPC of any kind, as bytes.
struct MutatedCall {
  uint64_t number = 0;  // with the seed it says everything below
  Target target = Target::kGateway;
  std::string path;
  const google::protobuf::Descriptor* response = nullptr;  // null: not known
  std::vector<std::string> messages;
  Metadata metadata;
  // Of the gRPC call. Unset: none.
  std::optional<absl::Duration> timeout;
  bool gzip = false;
  // The client says that no more messages come.
  bool half_closes = true;
  // The client goes away after so long. Unset: it waits for the status.
  std::optional<absl::Duration> leaves_after;
};

// Makes calls from the valid ones of each target. Immutable.
class CallMutator {
 public:
  // Where `admin`, callers have every right: what is loaded and what may be spent changes with
  // their calls. Else the gateway is called alone, by one who may only ask.
  CallMutator(uint64_t seed, bool admin);
  // The same for the same seed and number.
  MutatedCall Make(uint64_t number) const;

 private:
  void AddCredentials(MutatedCall& call, CounterRandom& random) const;

  const uint64_t seed_;
  const bool admin_;
  std::vector<std::vector<Seed>> seeds_;  // by target
  std::vector<std::vector<Seed>> infer_;  // by target: those of ModelInfer and ModelStreamInfer
};

}  // namespace penstock
